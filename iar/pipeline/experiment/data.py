"""Finds the samples and the pairs that a configuration names; writes the pocket data on first use."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

import benchmark
from benchmark import families, validation
from benchmark.halves import halves
from benchmark.pocket import layouts
from benchmark.protocol import Protocol
from benchmark.sample import Loaded
from iar.pipeline.experiment.settings import SPLITS, Data, Questions
from iar.terminal.console import console

_Item = TypeVar("_Item")


def prepare(wanted: Data) -> None:
    """Writes the pocket data if these are wanted and not there yet."""
    if wanted.name == "pocket" and not layouts.complete(Path(wanted.root), wanted.seed or 0):
        with console.status(f"writing the pocket data into {wanted.root}"):
            layouts.write(Path(wanted.root), wanted.seed or 0)


def protocol(cfg: Questions, name: str) -> Protocol:
    """The protocol that the settings choose for a benchmark, by its whole name or what stands behind the slash.

    Raises:
        DataError: There is none of that name.
    """
    chosen = cfg.benchmark[name].protocol
    if chosen is None:
        return benchmark.protocol(name)
    return benchmark.protocol(str(chosen) if str(chosen).partition("/")[0] == name else f"{name}/{chosen}")


def load(cfg: Questions, names: Sequence[str]) -> dict[str, Loaded]:
    """The samples of each benchmark in the configuration's split, at most ``limit`` of each.

    Returns:
        Name of the protocol (of the benchmark alone where its default is asked) -> its samples.
    """
    return {_key(cfg, name): _load(cfg, name) for name in names}


def _key(cfg: Questions, name: str) -> str:
    asked = protocol(cfg, name).name
    return name if asked == benchmark.protocol(name).name else asked


def describe(cfg: Questions, name: str) -> dict[str, str]:
    """What a score depends on besides the model: the protocol, which release of the data, and their digest.

    Returns:
        protocol (with its version); data (``pinned``: the release that the protocol pins, ``other``, ``unpinned``: it
        pins none); questions (SHA-256 over names and bytes of the question files).
    """
    asked, root = protocol(cfg, name), _root(cfg, name)
    missing, differing, _ = validation.release(asked, root)
    data = "other" if missing or differing else "pinned" if asked.digests else "unpinned"
    return {"protocol": asked.id, "data": data, "questions": _digest(asked, root)}


def _digest(asked: Protocol, root: Path) -> str:
    patterns = asked.files or tuple(asked.digests)
    files = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    lines = sorted(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _root(cfg: Questions, name: str) -> Path:
    return Path(cfg.data.folder(cfg.split)) / cfg.benchmark[name].folder


def _load(cfg: Questions, name: str) -> Loaded:
    asked = protocol(cfg, name)
    loaded = families.assign(asked.load(_root(cfg, name), cfg.split), _root(cfg, name))
    if cfg.data.shared and not asked.own_splits:
        loaded = _half(loaded, cfg.split)
    if cfg.limit is None or len(loaded.samples) <= cfg.limit:
        return loaded
    step, samples = len(loaded.samples) / cfg.limit, loaded.samples
    # Evenly over the references, so that a quick look has safe and unsafe requests, every answer and every letter.
    alike = sorted(range(len(samples)), key=lambda i: samples[i].reference)
    kept = tuple(samples[i] for i in sorted(_every(step, alike)))
    return Loaded(kept, _every(step, loaded.unasked))


def of_the_other_half(cfg: Questions, name: str) -> str:
    """Why a benchmark has no sample in this half, where the other half has them all; "" where that is not why."""
    asked = protocol(cfg, name)
    if not cfg.data.shared or asked.own_splits:
        return ""
    whole = asked.load(_root(cfg, name), cfg.split)
    half = _half(whole, cfg.split)
    if half.samples or not whole.samples or any(item.sample for item in half.unasked):
        return ""
    other = next(split for split in SPLITS if split != cfg.split)
    return (
        f"all {len(whole.samples)} rows are of the other half (rows are halved by image and whatever else they share): "
        f"take split={other}"
    )


def _every(step: float, items: Sequence[_Item]) -> tuple[_Item, ...]:
    """Items evenly spread, one in each `step`, at a drawn place in it: rows that alternate (yes and no, with and
    without a picture) stay mixed. What cannot be asked is thinned as what can."""
    chosen, rng = [], Random(0)
    for i in range(math.ceil(len(items) / step - 1e-9)):
        first, last = (min(int(end * step + 1e-9), len(items)) for end in (i, i + 1))
        chosen.append(items[rng.randrange(first, last)])
    return tuple(chosen)


def _half(loaded: Loaded, split: str) -> Loaded:
    """The samples of a half, and of what cannot be asked that of the half, or of none."""
    every = [*loaded.samples, *(item.sample for item in loaded.unasked if item.sample)]
    half = {sample.id: half for sample, half in zip(every, halves(every), strict=True)}
    return Loaded(
        tuple(sample for sample in loaded.samples if half[sample.id] == split),
        tuple(item for item in loaded.unasked if item.sample is None or half[item.sample.id] == split),
    )
