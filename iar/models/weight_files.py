"""Read a checkpoint's weights as they lie on disk: one file or shards with an index, safetensors or ``.bin``.

A ``.bin`` file is a pickle. It is read with ``torch.load(weights_only=True)``, which builds tensors and plain
containers and refuses everything else: no code of a checkpoint is ever executed. Only for checkpoints whose authors
publish nothing else (VLGuard's layout, say); a safetensors copy beside it wins, and nothing here writes a pickle.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmark.untrusted import parse_json
from iar.errors import UserError

# Called with a file's name and its place among all, from 1: for a progress display.
Progress = Callable[[str, int, int], None]


def read_file(path: Path) -> dict[str, Tensor]:
    """The tensors of one file, mapped into memory rather than copied where the format allows it.

    Raises:
        UserError: No such file, a damaged one, or a pickle that holds more than tensors.
    """
    if not path.is_file():
        raise UserError(f"no weight file {path}: the checkpoint is incomplete, download it again")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Only the zip format of torch >= 1.6 can be mapped; older files are read.
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} holds more than tensors, or is damaged: pickles are not executed; use a safetensors copy"
        ) from error
    except Exception as error:  # damaged bytes are read as instructions and fail in any way (IndexError, EOFError, ...)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot read weight file {path}: {reason} (download it again)") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise UserError(f"{path} is not a table of tensors, so not a checkpoint's weight file")
    return weights


def read_weights(folder: Path, name: str = "", progress: Progress | None = None) -> dict[str, Tensor]:
    """All weights of a model folder, under the names they have on disk; safetensors first when it has both formats.

    Args:
        name: Stem of the files; empty for a model's own, ``model.safetensors`` or ``pytorch_model.bin``.

    Raises:
        UserError: No weights, a shard of the index missing, or a file that `read_file` refuses.
    """
    looked = [f"{name or 'model'}.safetensors", f"{name or 'pytorch_model'}.bin"]
    for file in looked:
        if (index := folder / f"{file}.index.json").is_file():
            places = _places(index)
            weights = _read_all(folder, sorted(set(places.values())), progress)
            if lost := sorted(set(places) - set(weights)):
                raise UserError(f"{index} names weights that are in no shard, such as {lost[0]}: download it again")
            return weights
        if (folder / file).is_file():
            return _read_all(folder, [file], progress)
    raise UserError(f"no weights in {folder}: looked for {' and '.join(looked)}, each also as shards with an index")


def _places(index: Path) -> dict[str, str]:
    """Which shard an index says each weight is in; a shard is a file beside the index."""
    try:
        found = parse_json(index.read_bytes())["weight_map"]
        if not all(isinstance(file, str) and Path(file).name == file for file in found.values()):
            raise ValueError("a shard is not the name of a file beside it")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is not an index of shards ({error}): download it again") from error
    places: dict[str, str] = found
    return places


def _read_all(folder: Path, files: list[str], progress: Progress | None) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for place, file in enumerate(files, 1):
        weights |= read_file(folder / file)
        if progress:
            progress(file, place, len(files))
    return weights
