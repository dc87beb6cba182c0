"""Partial files: what one worker of a split extraction has gathered, until `iar.vectors merge` puts them together.

Safetensors with the float64 sums and the sample of `iar.vectors.statistics`; the header is that of the vector file to
be, plus which part of how many it is. Work is split by pair: part k of n takes every n-th pair from the k-th on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from iar.errors import UserError
from iar.pairs.example import Example, copies
from iar.vectors.estimation import from_statistics
from iar.vectors.file import read_tensors, write_tensors
from iar.vectors.header import FORMAT_VERSION, VOLATILE
from iar.vectors.statistics import Sample, Statistics, Sums
from iar.vectors.vector_set import VectorSet

FORMAT = "partial-1"


def share(examples: Sequence[Example], part: int, parts: int) -> list[Example]:
    """The examples of one worker.

    Raises:
        UserError: There are no more pairs than parts.
    """
    original = copies(examples)  # they go to one worker
    names = list(dict.fromkeys(example.pair for example in examples if example.pair not in original))
    mine = set(names[part::parts])
    if len(mine) < 2:
        raise UserError(f"shard={part}/{parts} would read {len(mine)} of {len(names)} pairs: use fewer shards")
    return [example for example in examples if original.get(example.pair, example.pair) in mine]


def write(path: Path, statistics: Statistics, header: dict[str, str], part: int, parts: int) -> None:
    """Write the statistics of part ``part`` of ``parts``; ``header`` is the whole extraction's."""
    tensors: dict[str, Tensor] = {}
    for name, value in vars(statistics).items():
        if value is not None:
            tensors |= {f"{name}.{field}": tensor.clone() for field, tensor in vars(value).items()}
    write_tensors(path, tensors, header | {"format_version": FORMAT, "part": str(part), "parts": str(parts)})


def read(path: Path) -> tuple[Statistics, dict[str, str]]:
    """The statistics of one part and the header it was written with.

    Raises:
        UserError: It is not a partial file, or a damaged one.
    """
    tensors, header = read_tensors(path)
    if header.get("format_version") != FORMAT:
        raise UserError(f"{path} is not a part of an extraction: make parts with iar.extract shard=0/2, shard=1/2")

    try:
        for name in ("part", "parts", "n_layers", "seed"):
            header[name] = str(int(header[name]))
        layers = int(header["n_layers"])
        statistics = Statistics(*_read(tensors, "", layers))
        if "head_sums.count" in tensors:
            statistics.head_sums, statistics.head_sample = _read(tensors, "head_", layers)
        header["method"]  # which vectors to make of it
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is incomplete ({error}): make it again with iar.extract") from error
    return statistics, header


def _read(tensors: dict[str, Tensor], of: str, layers: int) -> tuple[Sums, Sample]:
    """Sums and sample of the layers (``of`` = "") or heads; a ValueError where they are not those of one extraction."""
    sums = Sums(*(tensors[f"{of}sums.{name}"] for name in ("count", "total", "norm")))
    sample = Sample(*(tensors[f"{of}sample.{name}"] for name in ("keys", "safe", "values")))
    if sums.total.ndim != 3:
        raise ValueError(f"{of}sums.total has shape {tuple(sums.total.shape)}")
    (_, sites, width), examples = sums.total.shape, sample.keys.numel()
    wanted = ((2,), (2, sites, width), (sites,), (examples,), (examples,), (sites, examples, width))
    found = (sums.count, sums.total, sums.norm, sample.keys, sample.safe, sample.values)
    kinds = (*[torch.float64] * 3, torch.int64, torch.bool, torch.float32)
    if [(tuple(one.shape), one.dtype) for one in found] != list(zip(wanted, kinds, strict=True)):
        raise ValueError(f"{of}sums and {of}sample do not fit one another")
    if not (sites and width and examples and 0 < layers <= sites and sites % layers == 0):
        raise ValueError(f"{of}sums of {sites} sites for {layers} layers")
    if not all(one.isfinite().all() for one in found):
        raise ValueError("NaN or infinity")
    return sums, sample


def merge(paths: Sequence[Path], estimator: str | None = None) -> VectorSet:
    """The vectors that one pass over all parts would have given, exact up to float64 rounding of the sums.

    Args:
        estimator: ``mms``, ``pwd`` or ``random``; by default what the parts were made for.

    Raises:
        UserError: A file is not a partial file, the parts are of different extractions, or a part is missing or twice.
    """
    found: dict[int, tuple[Path, Statistics, dict[str, str]]] = {}
    for path in paths:
        statistics, header = read(path)
        part = int(header.pop("part"))
        if part in found:
            raise UserError(f"part {part} is given twice: {found[part][0]} and {path}")
        found[part] = (path, statistics, header)
    first, merged, header = found[min(found)]
    for path, statistics, other in found.values():
        if (statistics.head_sums is None) is not (merged.head_sums is None):
            raise UserError(f"{path} and {first} are parts of different extractions: only one holds heads (level=head)")
        if different := [key for key in header if key not in VOLATILE and header[key] != other.get(key)]:
            raise UserError(f"{path} and {first} are parts of different extractions: they differ in {different[0]}")
    parts = int(header.pop("parts"))
    missing = next((part for part in range(parts) if part not in found), None)
    if missing is not None:
        shard = f"{missing}/{parts}"
        raise UserError(f"part {shard} is missing: make it with iar.extract shard={shard}")
    for part in sorted(found)[1:]:
        merged = merged.merge(found[part][1])
    name = estimator or header["method"]
    vectors = from_statistics(merged, [name], n_layers=int(header["n_layers"]), seed=int(header["seed"]))[name]
    return replace(vectors, header=header | {"format_version": FORMAT_VERSION, "method": name})
