"""Shares as cells of tables, in percent: the same numbers are the same text in every table."""

from __future__ import annotations

import math

MISSING = "–"


def percent(share: float, sign: str = "", digits: int = 1) -> str:
    """A share, or with ``sign="+"`` a difference of two, in percent; NaN is a dash.

    >>> percent(0.958), percent(-0.0001, "+"), percent(math.nan), percent(0.958, digits=0)
    ('95.8', '+0.0', '–', '96')
    """
    return MISSING if math.isnan(share) else f"{round(100 * float(share), digits) + 0.0:{sign}.{digits}f}"  # no -0.0


def interval(value: float, low: float, high: float, sign: str = "") -> str:
    """The same with the ends of its interval, where there is one; ``sign`` is that of the value alone.

    >>> interval(0.958, 0.934, 0.981), interval(-0.1, -0.2, 0, "+"), interval(0.5, math.nan, math.nan)
    ('95.8 [93.4, 98.1]', '-10.0 [-20.0, 0.0]', '50.0')
    """
    shown = percent(value, sign)
    return shown if math.isnan(value) or math.isnan(low) else f"{shown} [{percent(low)}, {percent(high)}]"
