"""Heat maps of a grid: every score at every place and strength, small multiples in one figure.

The colour is the change to the baseline, blue where it is better and brown where it is worse, in every panel on one
scale that is even within ±5 points and logarithmic beyond; so a colour means the same in each panel, and a loss of two
points is seen beside a gain of sixty. The number is the score itself. A place and strength that was not asked is
hatched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from iar.errors import UserError
from iar.plots.style import CHANGE, SMALL, STYLE, WIDTH, heading, lay_out, save

CELL, LOWEST = 0.21, 0.11  # inches, height of a row, and where there are many
PANEL, REST = 0.3, 0.85  # inches beside the rows: of each panel, of the figure
PAGE = 9.0  # inches
NARROW = 5.0  # points, of the numbers where columns are many
EVEN = 5.0  # points of a change that are told apart evenly
FULL = 100.0  # the ends of the scale, the same in every figure: colours can be compared across runs


def heat_maps(table: pd.DataFrame, stem: Path, title: str = "", across: str = "strength", down: str = "") -> list[Path]:
    """Draw a panel a score, two side by side where the numbers fit.

    Args:
        table: A row a cell: panel (the score's name), better (1: higher is better, -1: lower is), row and strength
            (where it stands; rows in their order), value, baseline (shares; the latter NaN where there is none),
            control (rows of random directions, set apart), recommended (outlined).
        stem: Where to write, without suffix.
        title: Above the figure.
        across, down: What the columns and the rows are.

    Raises:
        UserError: There is no cell to draw, or the files cannot be written.
    """
    table = table.dropna(subset=["value"])
    if table.empty:
        raise UserError("no heat map to draw: no steered configuration has a score")
    panels = list(dict.fromkeys(table["panel"]))
    rows = list(dict.fromkeys(table.sort_values("control", kind="stable")["row"]))
    strengths = sorted(set(table["strength"]))
    side, cell = _size(len(panels), len(rows), len(strengths))
    lines = -(-len(panels) // side)
    with mpl.rc_context(STYLE):
        height = lines * (PANEL + cell * max(2, len(rows))) + REST
        figure = Figure(figsize=(WIDTH, height), dpi=300, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        grid = figure.subplots(lines, side, squeeze=False, sharex=True, sharey=True)
        titles: list[tuple[Text, Text]] = []
        for number, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
            part = table[table["panel"] == panel]
            image = _panel(axes, part, rows, strengths)
            small = axes.set_title(_baseline(part), loc="right", fontsize=SMALL, color="0.3")
            titles.append((axes.set_title(panel, loc="left"), small))
            if number % side == 0:
                axes.set_ylabel(down)
            if number + side >= len(panels):
                axes.set_xlabel(across)
                axes.xaxis.set_tick_params(labelbottom=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        bar = figure.colorbar(image, ax=grid, orientation="horizontal", aspect=38, fraction=0.05, pad=0.03)
        bar.set_label("points better (blue) or worse (brown) than unsteered")
        ticks = (-100, -30, -10, -3, 0, 3, 10, 30, 100)
        bar.ax.xaxis.set_major_locator(FixedLocator(ticks))
        bar.ax.xaxis.set_minor_locator(NullLocator())
        bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.0f}" if value else "0"))
        heading(figure, title)
        lay_out(figure)  # fixes the layout: how wide a cell is
        _part(titles, canvas.get_renderer())
        _thin_ticks(list(grid.flat[: len(panels)]), canvas.get_renderer(), strengths)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _numbers(axes, canvas.get_renderer(), table[table["panel"] == panel], rows, strengths)
        return save(figure, stem)


def _size(panels: int, rows: int, strengths: int) -> tuple[int, float]:
    """Panels side by side, and the height of a row: many strengths have the whole width if a page holds that."""

    def row(side: int) -> float:
        lines = -(-panels // side)
        return min(CELL, ((PAGE - REST) / lines - PANEL) / max(2, rows))

    side = 2 if panels > 1 and (strengths <= 8 or row(1) < LOWEST) else 1
    return side, max(LOWEST, row(side))


def _thin_ticks(panels: Sequence[Axes], renderer: RendererAgg, strengths: Sequence[float]) -> None:
    """Every second strength, or fewer, where the cells are narrower than the numbers below them."""
    cell = panels[0].get_window_extent(renderer).width / len(strengths)
    widest = max(tick.get_window_extent(renderer).width for tick in panels[-1].get_xticklabels())
    step = math.ceil((widest + 6) / cell)
    if step > 1:
        kept = range(0, len(strengths), step)
        panels[0].set_xticks(list(kept), [f"{strengths[k]:g}" for k in kept])  # the others share it


def _baseline(part: pd.DataFrame) -> str:
    base = float(part["baseline"].iloc[0])
    return "" if math.isnan(base) else f"unsteered {100 * base:.1f}"


def _part(titles: Sequence[tuple[Text, Text]], renderer: RendererAgg) -> None:
    """Where a name and its baseline do not fit side by side, every baseline goes below its name."""
    boxes = [[text.get_window_extent(renderer) for text in pair] for pair in titles]
    if any(name.x1 + 4 > base.x0 for name, base in boxes):
        for name, base in titles:
            name.set_text("\n".join(filter(None, (name.get_text(), base.get_text()))))
            base.set_text("")


def _panel(axes: Axes, part: pd.DataFrame, rows: list[str], strengths: list[float]) -> mpl.image.AxesImage:
    cells = np.full((len(rows), len(strengths)), np.nan)
    for cell in part.to_dict("records"):
        y, x = rows.index(cell["row"]), strengths.index(cell["strength"])
        change = 100 * cell["better"] * (cell["value"] - cell["baseline"])
        cells[y, x] = 0.0 if math.isnan(change) else change
        if cell["recommended"]:
            box = Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec="black", lw=1.2, zorder=4, clip_on=False)
            axes.add_patch(box)
    norm = SymLogNorm(linthresh=EVEN, vmin=-FULL, vmax=FULL)
    image = axes.imshow(np.ma.masked_invalid(cells), cmap=CHANGE, norm=norm, aspect="auto", interpolation="nearest")
    axes.patch.set(hatch="//////", edgecolor="0.8", facecolor="white")
    steered = len(set(rows) - set(part["row"][part["control"]]))
    if 0 < steered < len(rows):
        axes.axhline(steered - 0.5, color="white", lw=2.5)
    for edge in np.arange(len(strengths) - 1) + 0.5:
        axes.axvline(edge, color="white", lw=0.5)
    for edge in np.arange(len(rows) - 1) + 0.5:
        axes.axhline(edge, color="white", lw=0.5)
    axes.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _numbers(axes: Axes, renderer: RendererAgg, part: pd.DataFrame, rows: list[str], strengths: list[float]) -> None:
    """The scores in percent, with a decimal where the cells are wide enough for it, none where they are too narrow."""
    width = axes.get_window_extent(renderer).width / len(strengths)
    room = next(
        (
            (size, digits)
            for size, digits in ((SMALL, 1), (NARROW, 1), (NARROW, 0))
            if _fits(axes, renderer, size, digits, width)
        ),
        None,
    )
    if room is None:
        return
    size, digits = room
    norm = SymLogNorm(linthresh=EVEN, vmin=-FULL, vmax=FULL)
    for cell in part.to_dict("records"):
        change = 100 * cell["better"] * (cell["value"] - cell["baseline"])
        red, green, blue, _ = CHANGE(norm(0.0 if math.isnan(change) else change))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        x, y = strengths.index(cell["strength"]), rows.index(cell["row"])
        text = f"{100 * cell['value']:.{digits}f}"
        note = axes.text(x, y, text, ha="center", va="center", fontsize=size, color="white" if dark else "black")
        note.set_in_layout(False)


def _fits(axes: Axes, renderer: RendererAgg, size: float, digits: int, width: float) -> bool:
    probe = axes.text(0, 0, f"{100:.{digits}f}", fontsize=size)
    wide = probe.get_window_extent(renderer).width
    probe.remove()
    return bool(wide + 0.5 < width)
