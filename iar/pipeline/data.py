"""Finds the samples and the pairs that a configuration names; writes the pocket data on first use."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

from omegaconf import DictConfig

import benchmark
from benchmark.pocket import layouts
from benchmark.sample import Loaded
from iar.console import console
from iar.errors import UserError, did_you_mean

SPLITS = ("validation", "test")
VALIDATION_SHARE = 0.3
_Item = TypeVar("_Item")


def prepare(cfg: DictConfig) -> None:
    """Writes the pocket data if this configuration uses it and it is not there yet."""
    if cfg.data.name == "pocket" and not layouts.complete(Path(cfg.data.root), cfg.data.seed):
        with console.status(f"writing the pocket data into {cfg.data.root}"):
            layouts.write(Path(cfg.data.root), cfg.data.seed)


def load(cfg: DictConfig, names: Sequence[str]) -> dict[str, Loaded]:
    """The samples of each benchmark in the configuration's split, at most ``limit`` of each."""
    if cfg.split not in SPLITS:
        raise UserError(f"unknown split {cfg.split!r}: {did_you_mean(str(cfg.split), SPLITS)}")
    return {name: _load(cfg, name) for name in names}


def _load(cfg: DictConfig, name: str) -> Loaded:
    root = Path(cfg.data[cfg.split]) / cfg.benchmark[name].folder
    loaded = benchmark.module(name).load(root, cfg.split)
    if cfg.data.shared and name != "scienceqa":  # ScienceQA has splits of its own
        loaded = Loaded(
            tuple(s for s in loaded.samples if _part(s.cluster) == cfg.split),
            tuple(u for u in loaded.unasked if u.sample is None or _part(u.sample.cluster) == cfg.split),
        )
    if cfg.limit is None or len(loaded.samples) <= cfg.limit:
        return loaded
    step = len(loaded.samples) / cfg.limit
    return Loaded(_every(step, loaded.samples), _every(step, loaded.unasked))


def _every(step: float, items: Sequence[_Item]) -> tuple[_Item, ...]:
    """Items evenly spread, one in each `step`, at a drawn place in it: rows that alternate (yes and no, with and
    without a picture) stay mixed. What cannot be asked is thinned as what can."""
    chosen, rng = [], Random(0)
    for i in range(math.ceil(len(items) / step - 1e-9)):
        first, last = int(i * step), min(int((i + 1) * step + 1e-9), len(items))
        chosen.append(items[rng.randrange(first, last)])
    return tuple(chosen)


def _part(cluster: str) -> str:
    return "validation" if zlib.crc32(cluster.encode()) / 2**32 < VALIDATION_SHARE else "test"
