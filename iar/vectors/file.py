"""The vector file: safetensors with the vectors of all layers, and of all heads where they were read.

Layer level: ``layer.{i}`` (hidden,); ``norm.mean``, ``sigma``, ``separation``, ``accuracy`` (layers,). Head level:
``head.{i}`` (heads, head_dim); ``head.norm``, ``head.sigma``, ``head.accuracy`` (layers, heads). Gates, where they were
made: ``gate.{name}`` for each tensor of `iar.vectors.gates.Gates` that is known. The header's strings say how it was
made and of which model (`iar.vectors.header`); those of gates begin with ``gate_``. The bytes depend on the content
alone, ``created`` included: set SOURCE_DATE_EPOCH to get the same bytes at another time. Of vectors that another
library made only the layers that have one are there, and no statistics.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmark.untrusted import parse_json
from iar.errors import UserError
from iar.models.checkpoint import LoadedModel
from iar.records.text_file import replacing
from iar.vectors import hub
from iar.vectors.gates import Gates
from iar.vectors.header import FORMAT_VERSION, IMPORTED, VOLATILE
from iar.vectors.vector_set import HeadVectors, VectorSet

_REMEDY = "make it again with iar.extract"
_LENGTHS = ("norm.mean", "sigma", "head.norm", "head.sigma")
_SHARES = ("accuracy", "head.accuracy", "gate.auroc", "gate.rate", "gate.scores", "gate.refusal_scores")
_GATE_TENSORS = tuple(field.name for field in fields(Gates) if field.name not in ("categories", "header"))
_OF_HIDDEN = ("weight", "benign_mean", "response_mean", "risk", "category_weight", "category_vectors", "refusal_weight")
_REFUSALS = tuple(name for name in _GATE_TENSORS if name.startswith("refusal_"))


def write(path: str | Path, vector_set: VectorSet) -> None:
    """Write the file, in one move: a half-written file never stands under its name.

    Raises:
        UserError: A value is not finite, a layer's vector has length 0, or the place cannot be written.
    """
    path = Path(path)
    tensors = _tensors(vector_set) | (_gate_tensors(vector_set.gates) if vector_set.gates else {})
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UserError(f"{name} holds NaN or infinity: {path} is not written")
    if vector_set.problem:
        raise UserError(f"{vector_set.problem}, {path} is not written")
    write_tensors(path, tensors, vector_set.header | (vector_set.gates.header if vector_set.gates else {}))


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """A safetensors file whose bytes depend on its content alone, written in one move.

    Raises:
        UserError: The place cannot be written.
    """
    with replacing(path, shared=True) as partial:
        partial.write_bytes(_sorted_header(save(tensors, header)))


def read(path: str | Path, loaded: LoadedModel | None = None) -> VectorSet:
    """Read the file, or one on the Hub (``hf://ORG/NAME``); with ``loaded``, refuse vectors of any other model.

    Raises:
        UserError: Missing, truncated, no safetensors, no vector file, made with another model, or numbers inside that
            no estimate gives (NaN, whole numbers, a negative sigma, a vector of length 0).
    """
    origin = {}
    if hub.is_address(path):
        path, origin[hub.HEADER] = hub.file(str(path))
    path = Path(path)
    tensors, header = read_tensors(path)
    header |= origin
    if header.get("format_version") != FORMAT_VERSION:
        found = header.get("format_version", "none")
        if "part" in header:
            raise UserError(f"{path} is one part of an extraction: put the parts together with iar.vectors merge")
        raise UserError(f"{path} is not a vector file of format {FORMAT_VERSION} (its format: {found}): {_REMEDY}")
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise UserError(f"vector file {path}: {name} is {str(tensor.dtype)[6:]}, not float32: {_REMEDY}")
        if not tensor.isfinite().all():
            raise UserError(f"vector file {path}: {name} holds NaN or infinity: {_REMEDY}")
        if name in _LENGTHS and (tensor < 0).any():
            raise UserError(f"vector file {path}: {name} is a length and must not be negative: {_REMEDY}")
        if name in _SHARES and ((tensor < 0) | (tensor > 1)).any():
            raise UserError(f"vector file {path}: {name} is a share and must be from 0 to 1: {_REMEDY}")
    try:
        vector_set = _vector_set(tensors, header)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"vector file {path} is incomplete ({error}): {_REMEDY}") from error
    if vector_set.problem:
        raise UserError(f"vector file {path}: {vector_set.problem} ({_REMEDY})")
    if loaded is not None:
        _check(path, vector_set, loaded)
    return vector_set


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file.

    Raises:
        UserError: Missing, truncated, or no safetensors.
    """
    if not path.is_file():
        raise UserError(f"no vector file {path}: make it with iar.extract")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        what = "is truncated" if _is_truncated(path) else "is not a safetensors file"
        raise UserError(f"vector file {path} {what} ({error}): {_REMEDY}") from error


def digest(vector_set: VectorSet) -> str:
    """SHA-256 over tensors and header, without the time and the library versions, and without the gates."""
    return _digest(_tensors(vector_set), vector_set.header)


def gates_digest(gates: Gates) -> str:
    """SHA-256 over the tensors and the header of gates."""
    return _digest(_gate_tensors(gates), gates.header)


def _digest(tensors: dict[str, Tensor], header: dict[str, str]) -> str:
    kept = {k: v for k, v in header.items() if k not in VOLATILE}
    total = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def _tensors(vector_set: VectorSet) -> dict[str, Tensor]:
    tensors = {f"layer.{i}": vector_set.vectors[i] for i in range(vector_set.n_layers)}
    tensors |= {
        "norm.mean": vector_set.mean_norm,
        "sigma": vector_set.sigma,
        "separation": vector_set.separation,
        "accuracy": vector_set.accuracy,
    }
    if IMPORTED in vector_set.header:  # what is not known is not there
        tensors = {name: tensor for name, tensor in tensors.items() if not tensor.isnan().all()}
    if (heads := vector_set.heads) is not None:
        tensors |= {f"head.{i}": vectors for i, vectors in enumerate(heads.vectors)}
        tensors |= {"head.norm": heads.mean_norm, "head.sigma": heads.sigma, "head.accuracy": heads.accuracy}
    return _plain(tensors)


def _gate_tensors(gates: Gates) -> dict[str, Tensor]:
    names = (name for name in _GATE_TENSORS if name not in _REFUSALS or len(gates.refusal_bias))
    return _plain({f"gate.{name}": getattr(gates, name) for name in names})


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", torch.float32).contiguous().clone() for name, tensor in tensors.items()}


def _vector_set(tensors: dict[str, Tensor], header: dict[str, str]) -> VectorSet:
    places = range(int(header["n_layers"]))
    heads = None
    if "head.accuracy" in tensors:
        vectors = torch.stack([tensors[f"head.{i}"] for i in places])
        found = (_shaped(tensors, name, vectors.shape[:2]) for name in ("head.norm", "head.sigma", "head.accuracy"))
        heads = HeadVectors(_ranked("head", vectors, 3), *found)
    every = ("norm.mean", "sigma", "separation", "accuracy")
    if IMPORTED in header:
        tensors = _with_unknown(tensors, places, int(header["hidden_size"]), every)
    layers = _ranked("layer", torch.stack([tensors[f"layer.{i}"] for i in places]), 2)
    norm, sigma, separation, accuracy = (_shaped(tensors, name, layers.shape[:1]) for name in every)
    of_gates = {name: value for name, value in header.items() if name.startswith("gate_")}
    rest = {name: value for name, value in header.items() if name not in of_gates}
    gates = _gates(tensors, of_gates, layers.shape) if of_gates else None
    return VectorSet(layers, norm, sigma, separation, accuracy, heads, rest, gates)


def _with_unknown(
    tensors: dict[str, Tensor], places: Sequence[int], hidden_size: int, every: Sequence[str]
) -> dict[str, Tensor]:
    """NaN for the layers of imported vectors that have none, and for what is not known of the activations."""
    absent = {f"layer.{i}": torch.full((hidden_size,), torch.nan) for i in places}
    if absent.keys().isdisjoint(tensors):
        raise ValueError("it holds no layer")
    return absent | {name: torch.full((len(places),), torch.nan) for name in every} | tensors


def _ranked(kind: str, tensor: Tensor, wanted: int) -> Tensor:
    if tensor.ndim != wanted or not tensor.numel():
        raise ValueError(f"{kind}.0 has shape {tuple(tensor.shape[1:])}")
    return tensor


def _shaped(tensors: dict[str, Tensor], name: str, shape: Sequence[int]) -> Tensor:
    if tensors[name].shape != torch.Size(shape):
        raise ValueError(f"{name} has shape {tuple(tensors[name].shape)} and not {tuple(shape)}")
    return tensors[name]


def _gates(tensors: dict[str, Tensor], header: dict[str, str], shape: tuple[int, ...]) -> Gates:
    """The gates of vectors of this shape, (layers, hidden)."""
    categories = parse_json(header["gate_categories"])
    if not isinstance(categories, list) or not all(isinstance(name, str) for name in categories):
        raise ValueError("gate_categories is not a list of names")
    known = any(f"gate.{name}" in tensors for name in _REFUSALS)  # all of them or none
    found = {name: tensors[f"gate.{name}"] for name in _GATE_TENSORS if known or name not in _REFUSALS}
    for name in found:
        wanted = (shape[0], *shape[1:] * (name in _OF_HIDDEN))
        wanted = (len(categories), *wanted) if name.startswith("category_") else wanted
        if name in ("scores", "refusal_scores"):
            wanted = (shape[0], int(header["gate_unsafe"]) + int(header["gate_benign"]))
        _shaped(tensors, f"gate.{name}", wanted)
    return Gates(categories=tuple(categories), header=header, **found)


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
    if vector_set.heads is not None:
        shape, asked = tuple(vector_set.heads.vectors.shape[1:]), (loaded.decoder.heads, loaded.decoder.head_size)
        if shape != asked:
            raise UserError(
                f"vector file {path} holds {shape[0]} heads of {shape[1]} a layer, model {loaded.id!r} has "
                f"{asked[0]} of {asked[1]}: {_REMEDY}"
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
        header = parse_json(data[8 : 8 + size])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return len(data) < 8 + size + max(ends, default=0)
