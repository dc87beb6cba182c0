"""The vector file: safetensors with ``layer.{i}`` (hidden,), ``norm.mean``, ``sigma``, ``separation`` (layers,).

The header's strings say how it was made and of which model (``iar.vectors.mass_mean_shift.header``). The bytes depend
on the content alone, ``created`` included: set SOURCE_DATE_EPOCH to get the same bytes at another time.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from iar.errors import UserError
from iar.models.checkpoint import LoadedModel
from iar.vectors.mass_mean_shift import FORMAT_VERSION
from iar.vectors.vector_set import VectorSet

_REMEDY = "make it again with iar.extract"
# Not part of what the vectors are: two files that differ only here steer alike.
_UNDIGESTED = ("created", "torch_version", "transformers_version", "iar_version")


def write(path: str | Path, vector_set: VectorSet) -> None:
    """Write the file, in one move: a half-written file never stands under its name.

    Raises:
        UserError: A value is not finite, or the place cannot be written.
    """
    path = Path(path)
    tensors = _tensors(vector_set)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UserError(f"{name} holds NaN or infinity: {path} is not written")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_sorted_header(save(tensors, vector_set.header)))
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write vector file {path}: {error.strerror or error}") from error


def read(path: str | Path, loaded: LoadedModel | None = None) -> VectorSet:
    """Read the file; with ``loaded``, refuse vectors of any other model.

    Raises:
        UserError: Missing, truncated, no safetensors, no vector file, NaN inside, or made with another model.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no vector file {path}: make it with iar.extract")
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        what = "is truncated" if _is_truncated(path) else "is not a safetensors file"
        raise UserError(f"vector file {path} {what} ({error}): {_REMEDY}") from error
    if header.get("format_version") != FORMAT_VERSION:
        found = header.get("format_version", "none")
        raise UserError(f"{path} is no vector file of format {FORMAT_VERSION} (its format: {found}): {_REMEDY}")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UserError(f"vector file {path}: {name} holds NaN or infinity: {_REMEDY}")
    try:
        layers = [tensors[f"layer.{i}"] for i in range(int(header["n_layers"]))]
        vector_set = VectorSet(
            torch.stack(layers), tensors["norm.mean"], tensors["sigma"], tensors["separation"], header
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"vector file {path} is incomplete ({error}): {_REMEDY}") from error
    if loaded is not None:
        _check(path, vector_set, loaded)
    return vector_set


def digest(vector_set: VectorSet) -> str:
    """SHA-256 over tensors and header, without the time and the library versions."""
    header = {k: v for k, v in vector_set.header.items() if k not in _UNDIGESTED}
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(_tensors(vector_set).items()):
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def _tensors(vector_set: VectorSet) -> dict[str, Tensor]:
    tensors = {f"layer.{i}": vector for i, vector in enumerate(vector_set.vectors)}
    tensors |= {
        "norm.mean": vector_set.mean_norm,
        "sigma": vector_set.sigma,
        "separation": vector_set.separation,
    }
    return {name: tensor.detach().to("cpu", torch.float32).contiguous().clone() for name, tensor in tensors.items()}


def _check(path: Path, vector_set: VectorSet, loaded: LoadedModel) -> None:
    header = vector_set.header
    if vector_set.hidden_size != loaded.decoder.hidden_size:
        raise UserError(
            f"vector file {path} is for hidden size {vector_set.hidden_size}, model {loaded.id!r} has "
            f"{loaded.decoder.hidden_size}: {_REMEDY}"
        )
    if vector_set.n_layers != len(loaded.decoder):
        raise UserError(
            f"vector file {path} holds {vector_set.n_layers} layers, model {loaded.id!r} has {len(loaded.decoder)}: "
            f"{_REMEDY}"
        )
    if header.get("fingerprint") != loaded.fingerprint:
        made = f"{header.get('model_id')!r} ({header.get('model_revision')}, {header.get('dtype')})"
        raise UserError(
            f"vector file {path} was made with model {made}, not with this "
            f"{loaded.id!r} ({loaded.revision}, {loaded.dtype}): {_REMEDY}"
        )


def _sorted_header(data: bytes) -> bytes:
    """The same file with its header strings in order: safetensors writes them in an order drawn at every start."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format keeps the tensors aligned to 8 bytes
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _is_truncated(path: Path) -> bool:
    """Whether the file begins as safetensors does but ends before its header says."""
    data = path.read_bytes()
    if not data or (len(data) > 8 and data[8:9] != b"{"):
        return not data
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 + size:
        return True
    try:
        header = json.loads(data[8 : 8 + size])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return len(data) < 8 + size + max(ends, default=0)
