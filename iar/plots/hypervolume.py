"""A strip below a frontier: each method's hypervolume with its interval, and what it adds to the unsteered model's.

The hypervolume is the area that a method's front covers, from (0, 0) to (100 %, 100 %): `iar.stats.hypervolumes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from iar.plots.style import SMALL
from iar.plots.wording import spoken
from iar.revision.methods import BASELINE

ROW = 0.15  # inches
HEIGHT = 0.5  # inches, of the axis and the headings
NUMBERS = (8, 69)  # points from the axes to each column of numbers
PLAIN: dict[str, Any] = {"color": "black", "marker": "o"}


def rows(table: pd.DataFrame) -> pd.DataFrame:
    """A row a method in percent: group, hypervolume, low, high, and the same of its difference to the baseline.

    Args:
        table: As hypervolume.csv; groups without a number are left out.
    """
    numbers = ["hypervolume", "low", "high"]
    table = table.assign(against=table["against"].fillna(""))
    alone = table[(table["against"] == "") & table["hypervolume"].notna()]
    over = table[table["against"] == BASELINE].set_index("group")[numbers]
    found = alone[["group", *numbers]].reset_index(drop=True)
    for name in numbers:
        found[f"over_{name}"] = found["group"].map(over[name]).astype(float)
    found[found.columns[1:]] = 100 * found[found.columns[1:]]
    return found


def height(shown: pd.DataFrame) -> float:
    """Inches that the strip takes."""
    return HEIGHT + ROW * len(shown)


def strip(axes: Axes, shown: pd.DataFrame, looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw it.

    Args:
        shown: From `rows`.
        looks: Colour and marker of each group; others are black dots.
    """
    groups = list(shown["group"])
    for y, row in enumerate(shown.to_dict("records")):
        look = dict(looks.get(row["group"], PLAIN))
        look = ({"mew": 0.8} if look["marker"] == "x" else {"mec": "white", "mew": 0.4}) | look
        axes.plot([row["low"], row["high"]], [y, y], color=look["color"], lw=1.1, solid_capstyle="butt")
        size = 4.6 if look["marker"] == "h" else 3.6
        axes.plot(row["hypervolume"], y, ls="", ms=size, clip_on=False, zorder=4, **look)
        numbers = [_interval(row["hypervolume"], row["low"], row["high"], "")]
        numbers += [_interval(row["over_hypervolume"], row["over_low"], row["over_high"], "+")]
        for x, number in zip(NUMBERS, numbers, strict=True):
            _beside(axes, x, y, number)
    for x, title in zip(NUMBERS, ("% [95 %]", "over unsteered"), strict=True):
        _beside(axes, x, -1.0, title, color="0.35")
    base = shown[shown["group"] == BASELINE]["hypervolume"]
    if not base.empty:
        axes.axvline(float(base.iloc[0]), color="0.6", lw=0.6, ls=":", zorder=0)
    axes.set_yticks(range(len(groups)), [spoken(group, groups) for group in groups])
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.08)
    axes.set_xlabel("hypervolume (%)")
    axes.spines[["top", "right", "left"]].set_visible(False)


def _beside(axes: Axes, x: float, y: float, text: str, color: str = "black") -> None:
    at: Any = axes.get_yaxis_transform()
    axes.annotate(
        text, (1, y), (x, 0), xycoords=at, textcoords="offset points", va="center", fontsize=SMALL, color=color
    )


def _interval(value: float, low: float, high: float, sign: str) -> str:
    if math.isnan(value):
        return ""
    value, low, high = (round(number, 1) + 0.0 for number in (value, low, high))  # no -0.0
    if value == low == high == 0:
        return "0.0"
    return f"{value:{sign}.1f} [{low:.1f}, {high:.1f}]"
