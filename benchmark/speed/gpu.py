"""A LLaVA-7B with random weights in bf16: what a sweep costs on one GPU."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import torch

from benchmark.speed.figure import Asked, Ratio, Result
from benchmark.speed.sizes import LLAVA_7B
from benchmark.speed.sweeps import against_plain, eighteen


def gpu(asked: Asked) -> Result:
    """The figure `pope18` on that model, with tokens a second.

    In 16 bits two paths round differently, so their answers are counted, not required to be the same.
    """
    if not torch.cuda.is_available():
        return Result("gpu", skipped="there is no CUDA device here: nothing was measured")
    sweep = eighteen(LLAVA_7B, "gpu", "last", 1, 80)
    found = against_plain(replace(asked, size=LLAVA_7B), sweep, 0.2)
    tokens = sum(LLAVA_7B.image_tokens + 8 + len(s.prompt.split()) for s in sweep.samples) * len(sweep.configurations)
    rates = tuple(Ratio(f"prompt tokens/s, {lane}", tuple(tokens / s for s in found.lanes[lane]), None, "≥", "/s")
                  for lane in ("plain", "shared"))  # fmt: skip
    free = torch.cuda.max_memory_allocated() / 2**30
    note = (
        f"{tokens} prompt tokens over all configurations; shared {median(found.lanes['shared']):.2f} s; {free:.1f} GiB"
    )
    return replace(found, exact=None, ratios=[*found.ratios, *rates], notes=[*found.notes, note])
