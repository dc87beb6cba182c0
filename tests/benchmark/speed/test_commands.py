from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.speed.figure import Asked
from benchmark.speed.registry import measure
from benchmark.speed.sizes import Size


def test_startup(tiny: Size) -> None:
    result = measure("startup", Asked(tiny, 1))
    assert result.exact is True
    assert (
        result.checked == "the help names the settings; import benchmark loads neither torch nor transformers nor iar"
    )
    assert [(r.target, r.sense, r.unit, len(r.values)) for r in result.ratios] == [
        (1.5, "≤", " s", 1),
        (0.3, "≤", " s", 1),
    ]


def test_pocket(tiny: Size, pocket_data: Path, warm_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", warm_python)
    limits = (*tiny.limits, f"data.root={pocket_data}")
    result = measure("pocket", Asked(replace(tiny, set_up=("benchmark", "ls"), limits=limits), 1))
    assert result.exact is True and result.checked.startswith("scores.csv of ")
    assert result.ratios[0].target is None  # shortened: no figure of the real sweep
    assert "method=none" in result.notes[0]


def test_gpu_says_when_there_is_none(tiny: Size) -> None:
    import torch

    if not torch.cuda.is_available():
        assert measure("gpu", Asked(tiny)).skipped == "there is no CUDA device here: nothing was measured"
