"""Dumbbells: each category's scores without and with steering, joined by a line, with 95 % intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from iar.errors import UserError
from iar.plots.style import COLOURS, STYLE, WIDTH, heading, legend_below, save

ROW = 0.165  # inches
APART = 0.16  # rows between a pair's two points and their middle: so their intervals do not hide each other
BEFORE: dict[str, Any] = {"color": "0.45", "marker": "o", "mfc": "white", "mec": "0.35", "mew": 0.8}
AFTER: dict[str, Any] = {"color": COLOURS[0], "marker": "o", "mec": "white", "mew": 0.4}


def dumbbells(
    table: pd.DataFrame, stem: Path, title: str = "", before: str = "unsteered", after: str = "steered"
) -> list[Path]:
    """Draw a panel a score, side by side, a row a category in the table's order.

    Args:
        table: A row a score and category: panel (the score's title; at most three are drawn side by side), group (a
            heading above its categories; "" for none), category, before, before_low, before_high, after, after_low,
            after_high; shares, NaN where nothing was asked.
        stem: Where to write, without suffix.
        title: Above the figure.
        before, after: What the two are called in the legend.

    Raises:
        UserError: No category has both scores, or the files cannot be written.
    """
    table = table.dropna(subset=["before", "after"])
    if table.empty:
        raise UserError("no dumbbells to draw: no category was scored both without and with steering")
    panels = list(dict.fromkeys(table["panel"]))
    places, ticks, bold = _places(table)
    with mpl.rc_context(STYLE):
        height = 0.75 + ROW * (max(places.values()) + 1.3)
        figure = Figure(figsize=(WIDTH, height), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            _panel(axes, table[table["panel"] == panel], places)
            axes.set_title(panel)
            axes.set_xlabel("%")
        row[0].set_yticks(list(ticks), list(ticks.values()), parse_math=False)
        row[0].set_ylim(max(places.values()) + 0.6, -0.6)
        for label, place in zip(row[0].get_yticklabels(), ticks, strict=True):
            label.set_fontweight("bold" if place in bold else "normal")
        heading(figure, title)
        handles = [
            Line2D([], [], ls="", ms=4.5, label=before, **BEFORE),
            Line2D([], [], ls="", ms=4.5, label=after, **AFTER),
            Line2D([], [], color="0.6", lw=0.8, label="95 % intervals"),
        ]
        legend_below(figure, handles)
        return save(figure, stem)


def _places(table: pd.DataFrame) -> tuple[dict[tuple[str, str], float], dict[float, str], set[float]]:
    """Height of each (group, category), the words at each height, and which of these are headings."""
    places: dict[tuple[str, str], float] = {}
    ticks: dict[float, str] = {}
    bold: set[float] = set()
    y = 0.0
    for group, rows in table.groupby("group", sort=False):
        if group:
            y += 0.35 if places else 0.0
            ticks[y] = str(group)
            bold.add(y)
            y += 1
        for category in dict.fromkeys(rows["category"]):
            places[str(group), str(category)] = y
            ticks[y] = str(category)
            y += 1
    return places, ticks, bold


def _panel(axes: Axes, part: pd.DataFrame, places: dict[tuple[str, str], float]) -> None:
    for row in part.to_dict("records"):
        y = places[str(row["group"]), str(row["category"])]
        ends = np.array([row["before"], row["after"]]) * 100
        axes.plot(ends, [y - APART, y + APART], color="0.55", lw=0.8, zorder=2)
        for name, look, at in (("before", BEFORE, y - APART), ("after", AFTER, y + APART)):
            interval = [100 * row[f"{name}_low"], 100 * row[f"{name}_high"]]
            axes.plot(interval, [at, at], color=look["color"], alpha=0.45, lw=0.8, solid_capstyle="butt", zorder=1)
            axes.plot(100 * row[name], at, ls="", ms=4, zorder=3, clip_on=False, **look)
    axes.set_xlim(-3, 103)
    axes.set_xticks(range(0, 101, 25))
    axes.grid(axis="x", color="0.92", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
