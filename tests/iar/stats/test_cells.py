from __future__ import annotations

import math

import numpy as np
import pytest

from iar.stats.cells import interval, percent


@pytest.mark.parametrize(
    ("share", "sign", "digits", "text"),
    [
        (0.958, "", 1, "95.8"),
        (1.0, "", 1, "100.0"),
        (0.12, "+", 1, "+12.0"),
        (-0.12, "+", 1, "-12.0"),
        (-0.0004, "", 1, "0.0"),
        (-0.0004, "+", 1, "+0.0"),
        (np.float64(0.1235), "", 1, "12.3"),  # 12.35 is a little less in binary; numpy's own rounding gives 12.4
        (0.958, "", 0, "96"),
        (math.nan, "+", 1, "–"),
    ],
)
def test_percent(share: float, sign: str, digits: int, text: str) -> None:
    assert percent(share, sign, digits) == text


def test_intervals() -> None:
    assert interval(0.958, 0.934, 0.981) == "95.8 [93.4, 98.1]"
    assert interval(0.02, -0.0003, 0.05, "+") == "+2.0 [0.0, 5.0]"
    assert interval(0.5, math.nan, math.nan) == "50.0" and interval(math.nan, 0.0, 1.0) == "–"
