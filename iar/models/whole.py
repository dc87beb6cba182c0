"""Whether a checkpoint is whole: what transformers would fill with random numbers, or let pass, is an error by name."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from torch import Tensor

from iar.errors import UserError
from iar.models.weight_files import read_file

_INTEGERS = ("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64")
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_BLOCK = re.compile(r"(.*\.(?:layers|h|layer)\.)(\d+)\.")
_ADAPTER = re.compile(r"\.(lora_[AB]|lora_embedding_[AB]|base_layer|modules_to_save)\b")


def load_whole(load: Callable[..., Any], where: str, all_of: str = "", **options: Any) -> Any:
    """The model that ``load`` (a ``from_pretrained``) makes, all of its parameters read from the checkpoint.

    Weights that are tied to others and buffers that the class computes may be absent; weights of other parts (a second
    head, old buffers) may be left over, but not those of blocks that the config does not count, nor an adapter's.

    Args:
        all_of: Name of a model class that must take all weights: none may be left over.
        options: For ``load``.

    Raises:
        UserError: Weights are missing, of another shape than the config says, or left over as above; they are named.
    """
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(logging.CRITICAL)  # its report of misfits becomes our one line
    try:
        model, info = load(ignore_mismatched_sizes=True, output_loading_info=True, **options)
    finally:
        transformers.logging.set_verbosity(verbosity)
    named = dict(model.named_parameters())
    refuse(where, "lacks weights", (name for name in info["missing_keys"] if name in named))
    refuse(where, "has weights of another shape than its config says", (name for name, *_ in info["mismatched_keys"]))
    left = set(info["unexpected_keys"])
    refuse(where, f"has weights that {all_of} has no place for", left if all_of else ())
    refuse(where, "has an adapter that is not merged", (name for name in left if _ADAPTER.search(name)))
    refuse(where, "has blocks that its config does not count", (name for name in left if _beyond(name, named)))
    return model


def check_values(model: torch.nn.Module, where: str, dtype: str) -> None:
    """Raises where a weight holds NaN or infinity, on whatever device it lies.

    Raises:
        UserError: Names the weights.
    """
    bad = [name for name, value in model.state_dict().items() if value.dtype in _FLOATS and not _finite(value)]
    way_out = " (values beyond float16 become infinite: try model.dtype=bfloat16)" if dtype == "float16" else ""
    refuse(where, "has weights that hold NaN or infinity", bad, way_out)


def check_pickles(folder: Path) -> None:
    """Raises where the weights lie in ``.bin`` files that hold anything else.

    Raises:
        UserError: What `iar.models.weight_files.read_file` raises.
    """
    if not any(folder.glob("model*.safetensors")):
        for file in sorted(folder.glob("pytorch_model*.bin")):
            read_file(file)


def check_types(model: torch.nn.Module, folder: Path) -> None:
    """Raises where weights lie in whole numbers in the folder's files, which no quantisation of its config explains.

    Raises:
        UserError: Names the weights.
    """
    if getattr(getattr(model, "config", None), "quantization_config", None) is not None:
        return
    ends = {_end(name) for name, value in model.named_parameters() if value.is_floating_point()}
    refuse_integers(str(folder), (name for name, integer in _stored(folder) if integer), ends)


def refuse_integers(where: str, names: Iterable[str], ends: Iterable[str] = ()) -> None:
    """Raises where one of the tensors, all of whole numbers, is a weight: positions and counts may be.

    Args:
        ends: The last two parts of the names of weights; what ends in ``.weight`` is one anyway.

    Raises:
        UserError: Names the weights.
    """
    weights = (name for name in names if name.endswith(".weight") or _end(name) in ends)
    refuse(where, "has weights in whole numbers without saying how they are quantised", weights)


def refuse(where: str, what: str, names: Iterable[str], way_out: str = "") -> None:
    """Raises where there are names.

    Raises:
        UserError: ``where what: names``.
    """
    if found := set(names):
        raise UserError(f"{where} {what}: {listed(found)}{way_out}")


def listed(names: Iterable[str]) -> str:
    """The first five names, and how many more there are."""
    every = sorted(names)
    return ", ".join(every[:5]) + (f" and {len(every) - 5} more" if len(every) > 5 else "")


def _beyond(name: str, named: Mapping[str, Any]) -> bool:
    """Whether a name is that of a block behind the last one of a list of blocks that the model has."""
    found = _BLOCK.match(name)
    if not found:
        return False
    places = [int(other[2]) for key in named if (other := _BLOCK.match(key)) and other[1] == found[1]]
    return bool(places) and int(found[2]) > max(places)


def _finite(value: Tensor) -> bool:
    if value.is_meta:
        return True
    # The sum is cheap and not finite where a value is not; where it overflows by itself, each value is looked at.
    return bool(value.sum(dtype=torch.float32).isfinite()) or bool(value.isfinite().all())


def _end(name: str) -> str:
    return ".".join(name.split(".")[-2:])


def _stored(folder: Path) -> Iterator[tuple[str, bool]]:
    """Each tensor in a folder's weight files, and whether it is of whole numbers; only headers are read."""
    if files := sorted(folder.glob("model*.safetensors")):
        for file in files:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118
                    yield name, tensors.get_slice(name).get_dtype() in _INTEGERS
        return
    for file in sorted(folder.glob("pytorch_model*.bin")):
        for name, value in read_file(file).items():
            yield name, not value.is_floating_point()
