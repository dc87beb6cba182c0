"""The server's figures run, and what they compare is the same; no time is asserted."""

from __future__ import annotations

import pytest

from benchmark.speed import serving
from benchmark.speed.figure import Asked
from benchmark.speed.registry import measure
from benchmark.speed.sizes import Size

for package in ("fastapi", "uvicorn"):
    pytest.importorskip(package, reason="needs a web server: pip install 'iar[serve]'")


def test_many_settings_of_one_prompt(tiny: Size) -> None:
    result = measure("serve", Asked(tiny, 1))
    assert result.exact is True and result.checked.startswith("17 of 17 answers")
    (ratio,) = result.ratios
    assert (ratio.target, ratio.sense) == (2, "≤") and list(result.lanes) == ["one setting", "17 settings"]


@pytest.mark.slow
def test_many_clients(tiny: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "WORDS", serving.WORDS[:2])
    monkeypatch.setattr(serving, "PAUSE", 0.2)
    result = measure("serve-load", Asked(tiny, seconds=2))
    assert result.exact is True and ", 0 lost, 0 wrong" in result.checked
    memory, pace = result.ratios
    assert 0.5 < memory.middle < 1.5 and pace.middle > 0
