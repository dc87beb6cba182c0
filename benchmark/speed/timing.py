"""Lanes side by side: A B A B, so that what else the machine does meets each of them alike."""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import torch

from benchmark.speed.figure import Say

Lane = Callable[[], Any]


def timed(lane: Lane) -> tuple[Any, float]:
    """What it returns, and its seconds of wall time."""
    gc.collect(1)  # what the lane before left; all of it would take half a second
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    found = lane()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.perf_counter() - start


def interleave(
    lanes: Mapping[str, Lane], repeats: int, say: Say, warm: bool = True
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of each lane in each repeat, and what each returned last.

    Args:
        warm: Run every lane once before, untimed.
    """
    if warm:
        for lane in lanes.values():
            lane()
    seconds: dict[str, list[float]] = {name: [] for name in lanes}
    found: dict[str, Any] = {}
    for repeat in range(repeats):
        # The order turns round, so that no lane always comes after the same one.
        for name in list(lanes) if repeat % 2 == 0 else reversed(list(lanes)):
            found[name], took = timed(lanes[name])
            seconds[name].append(took)
            say(f"repeat {repeat + 1}/{repeats} {name}: {took:.2f} s")
    return seconds, found


def ratios(above: Sequence[float], below: Sequence[float]) -> tuple[float, ...]:
    """One a repeat."""
    return tuple(a / b for a, b in zip(above, below, strict=True))


def peak(dtype: torch.dtype = torch.float32, device: str = "cpu") -> float:
    """FLOP/s of a big matrix product here and now, the median of five."""
    size = 8192 if device == "cuda" else 1024
    a, b = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
    torch.matmul(a, b)
    return 2 * size**3 / median(timed(lambda: torch.matmul(a, b))[1] for _ in range(5))


def machine() -> str:
    """The machine in a few words."""
    import transformers

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    wide = torch.backends.cpu.get_cpu_capability()
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{cores} cores ({platform.machine()}, {wide}), {torch.get_num_threads()} threads, load {load}, {gpu}; "
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    )
