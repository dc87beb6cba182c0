from __future__ import annotations

import sys

import pytest

from benchmark.speed.figure import Asked
from benchmark.speed.memory import peak_mebibytes
from benchmark.speed.registry import measure
from benchmark.speed.sizes import Size


def test_memory(tiny: Size, warm_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", warm_python)
    result = measure("memory", Asked(tiny, 1))
    assert result.exact is True
    assert [(r.what, r.target) for r in result.ratios] == [
        ("peak of extract 12 / extract 4", 1.1),
        ("peak of sweep 65 / sweep 17", 1.5),
    ]
    assert all(0.5 < r.middle < 2 for r in result.ratios)


def test_peak_is_of_this_process_and_grows() -> None:
    before = peak_mebibytes()
    held = bytearray(b"\1" * (200 * 2**20))
    assert peak_mebibytes() - before > 100 or before > 1000
    del held
