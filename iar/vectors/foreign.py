"""Vectors that other libraries made: read without running their code, for a model that is said by hand.

    repeng, EasySteer      .gguf           direction.N, of block N
    AISteer360             .svec           JSON, {"directions": {"N": [[…]]}}
    CAA, EasyEdit2         .pt             one tensor (hidden,), the layer in the file's name; or (layers, hidden)
    lm-eval and others     .pt             a dictionary: a layer in each key -> a tensor, or a dictionary that has one
    any                    .npy            one array (hidden,) or (layers, hidden)
    any                    .safetensors    named tensors, as a dictionary

Nobody says in such a file what the vector was made of, so sizes alone are checked; what it does not hold (other layers,
the spread and the length of the activations) stays unknown.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmark.untrusted import parse_json
from iar.errors import UserError, did_you_mean
from iar.models import LoadedModel, source
from iar.vectors.header import imported
from iar.vectors.vector_set import VectorSet

_IN_KEY = re.compile(r"(?:^|(?<=[._-])|layers?|blocks?)(\d+)(?=$|[._-])")
_IN_NAME = re.compile(r"(?<![a-z])(?:layers?|blocks?|l)[._-]?(\d+)(?!\d)", re.IGNORECASE)
_DAMAGED = (ValueError, KeyError, IndexError, TypeError, EOFError, OSError, RuntimeError, AttributeError, OverflowError)


def read(path: Path, loaded: LoadedModel, layer: int | None = None) -> VectorSet:
    """The vectors of a file, for this model.

    Args:
        layer: The block, where neither the file nor its name says it.

    Raises:
        UserError: No such file or format, one that is damaged or holds more than numbers, vectors of another size, a
            layer outside the model, given twice or not at all, a vector that is zero or not finite.
    """
    if not path.is_file():
        raise UserError(f"no file {path}")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise UserError(f"cannot import {path}: {did_you_mean(suffix, READERS)}")
    try:
        found = READERS[suffix](path)
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot read {path}: {reason} (is it a whole {suffix} file?)") from error
    layers, hidden = len(loaded.decoder), loaded.decoder.hidden_size
    held = _placed(path, found, layers, layer) if isinstance(found, Tensor) else _named(path, found, layer)
    vectors = torch.full((layers, hidden), torch.nan)
    for place, vector in held.items():
        if not 0 <= place < layers:
            raise UserError(f"{path} holds a vector of layer {place}, model {loaded.id!r} has layers 0 to {layers - 1}")
        if vector.shape != (hidden,):
            raise UserError(
                f"{path}: the vector of layer {place} is of {_sizes(vector)}, model {loaded.id!r} of {hidden}"
            )
        if not vector.is_floating_point() or not vector.isfinite().all():
            raise UserError(f"{path}: the vector of layer {place} holds what is no finite number")
        vectors[place] = vector.float()
    unknown = torch.full((layers,), torch.nan)
    header = imported(loaded, source=path.name, sha256=source.digest(path), kind=suffix[1:])
    made = VectorSet(vectors, unknown, unknown, unknown, unknown, header=header)
    if made.problem:
        raise UserError(f"{path}: {made.problem.partition(':')[0]}")
    return made


def _placed(path: Path, tensor: Tensor, layers: int, layer: int | None) -> dict[int, Tensor]:
    """One tensor: of one layer, or of all."""
    if tensor.ndim == 2 and tensor.shape[0] == layers > 1 and layer is None:
        return dict(enumerate(tensor))
    if tensor.squeeze().ndim != 1:
        raise UserError(f"{path} holds {_sizes(tensor)}: it must be one vector, or one a layer ({layers} of them)")
    return {_layer_of(path, layer): tensor.squeeze()}


def _named(path: Path, found: Mapping[Any, Tensor], layer: int | None) -> dict[int, Tensor]:
    """Tensors by name: a layer in each name, or one tensor alone."""
    held: dict[int, Tensor] = {}
    for name, tensor in found.items():
        numbers = {int(number) for number in _IN_KEY.findall(str(name))}
        if len(numbers) > 1 or (not numbers and len(found) > 1):
            raise UserError(f"{path}: {str(name)!r} does not say which layer it is of")
        place = numbers.pop() if numbers else _layer_of(path, layer)
        if place in held:
            raise UserError(f"{path} holds two vectors of layer {place}")
        held[place] = tensor.squeeze()
    if not held:
        raise UserError(f"{path} holds no vector")
    return held


def _layer_of(path: Path, layer: int | None) -> int:
    """The layer that is said, or that the file's name says."""
    found = {int(number) for number in _IN_NAME.findall(path.stem)}
    if layer is None and len(found) != 1:
        raise UserError(f"{path} does not say which layer it is of: --layer 14 says it (blocks count from 0)")
    return found.pop() if layer is None else layer


def _sizes(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"


def _gguf(path: Path) -> dict[str, Tensor]:
    if find_spec("gguf") is None:
        raise UserError(f"{path.name} needs the gguf package: pip install 'iar[gguf]'")
    import gguf

    reader = gguf.GGUFReader(path)
    kind = reader.fields.get("general.architecture")
    if kind is None or kind.contents() != "controlvector":
        raise UserError(f"{path} is no control vector (its architecture: {kind.contents() if kind else 'none'})")
    directions = [one for one in reader.tensors if one.name.startswith("direction.")]
    return {one.name: torch.from_numpy(np.array(one.data)) for one in directions}


def _svec(path: Path) -> dict[str, Tensor]:
    content = parse_json(path.read_bytes())
    found = {}
    for name, rows in content["directions"].items():
        vector = torch.tensor(rows, dtype=torch.float32)
        if vector.ndim != 2 or len(vector) != 1:
            raise UserError(f"{path} holds {len(rows)} directions of layer {name}: one a layer can be imported")
        found[name] = vector
    return found


def _pickled(path: Path) -> Tensor | dict[Any, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} holds more than tensors, or is damaged: it is not unpickled, as that may run code; who made it "
            "can save the tensors alone: torch.save({14: tensor}, FILE)"
        ) from error
    if isinstance(content, Tensor):
        return content
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}: it must be a tensor, or tensors by layer")
    return {name: _entry(path, name, value) for name, value in content.items()}


def _entry(path: Path, name: Any, value: Any) -> Tensor:
    """A tensor; or what lm-eval's steered models are told of a layer."""
    if isinstance(value, dict) and isinstance(value.get("steering_vector"), Tensor):
        if value.get("action", "add") != "add" or value.get("head_index") is not None:
            raise UserError(f"{path}: {name} does not add to a whole layer, so it cannot be imported")
        vector: Tensor = value["steering_vector"] * float(value.get("steering_coefficient", 1.0))
        return vector
    if not isinstance(value, Tensor):
        raise UserError(f"{path}: {str(name)!r} is a {type(value).__name__}, not a tensor")
    return value


def _array(path: Path) -> Tensor:
    return torch.from_numpy(np.load(path, allow_pickle=False))


def _safetensors(path: Path) -> dict[Any, Tensor]:
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


READERS: dict[str, Callable[[Path], Any]] = {
    ".gguf": _gguf,
    ".svec": _svec,
    ".pt": _pickled,
    ".pth": _pickled,
    ".npy": _array,
    ".safetensors": _safetensors,
}
