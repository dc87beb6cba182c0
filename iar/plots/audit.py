"""The figures of an audit: SRA_s against SRA_u, the same by category, and from text to images.

A model has the same colour and marker in all three. Sized for one column of a journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from benchmark.vscbench import MODES
from iar.errors import UserError
from iar.plots import regions, wording
from iar.plots.names import place_names
from iar.plots.style import COLOURS, LINES, MARKERS, STYLE, WIDTH, heading, legend_below, save

AXES = {
    "SRA_u": "SRA$_u$: unsafe requests refused or warned about",
    "SRA_s": "SRA$_s$: safe requests answered",
}
MODE_LABELS = {  # all of two lines, so that they stand at one height
    "txt": "text\n", "search": "relevant\nimage", "typography": "typo-\ngraphy", "concat": "image and\ntypogr.",
    "figstep": "FigStep\n",
}  # fmt: skip
ENDS = [f"{metric}{end}" for metric in AXES for end in ("", "_low", "_high")]


def styles(models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Model -> colour and marker; 42 models differ."""
    return {
        model: {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        for number, model in enumerate(dict.fromkeys(map(str, models)))
    }


def calibration(points: pd.DataFrame, stem: str | Path, title: str = "") -> list[Path]:
    """Draw every model as a point with a cross of 95 % intervals and its name; the regions shaded and named.

    Args:
        points: A row a model: model, SRA_s, SRA_u and each with ``_low`` and ``_high``, from 0 to 1. Rows with NaN are
            left out, here and in the other figures.
        stem: Where to write, without suffix.
        title: One line above the figure.

    Raises:
        UserError: No model has both scores, or the files cannot be written.
    """
    look = styles(points["model"])
    drawn = _percent(points)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, WIDTH), dpi=300, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        named = _plane(axes, named=True)
        _crosses(axes, drawn, look, size=24)
        axes.set_xlabel(f"{AXES['SRA_u']} (%)")
        axes.set_ylabel(f"{AXES['SRA_s']} (%)")
        heading(figure, title)
        figure.draw_without_rendering()  # fixes the layout, so that names can be placed in pixels
        rows = drawn.to_dict("records")
        names = [(str(r["model"]), r["SRA_u"], r["SRA_s"], _darker(look[r["model"]]["color"])) for r in rows]
        lines = [(r["SRA_u_low"], r["SRA_s"], r["SRA_u_high"], r["SRA_s"]) for r in rows]
        lines += [(r["SRA_u"], r["SRA_s_low"], r["SRA_u"], r["SRA_s_high"]) for r in rows]
        renderer = canvas.get_renderer()
        place_names(axes, canvas, names, lines, [text.get_window_extent(renderer).padded(12) for text in named])
        return save(figure, Path(stem))


def categories(points: pd.DataFrame, stem: str | Path, title: str = "") -> list[Path]:
    """Draw a panel a category, every model in each.

    Args:
        points: As for `calibration`, with ``category``; the panels are in its order.

    Raises:
        UserError: No category has both scores, or the files cannot be written.
    """
    look = styles(points["model"])
    drawn = _percent(points)
    shown = [category for category in dict.fromkeys(points["category"]) if category in set(drawn["category"])]
    rows = -(-len(shown) // 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.55 + 1.6 * rows), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, min(2, len(shown)), sharex=True, sharey=True, squeeze=False)
        for panel, category in zip(panels.flat, shown, strict=False):
            _plane(panel, named=False)
            _crosses(panel, drawn[drawn["category"] == category], look, size=13)
            panel.set_title(wording.category(category))
        for panel in panels.flat[len(shown) :]:
            panel.set_visible(False)
        for column in panels.T:
            lowest = [panel for panel in column if panel.get_visible()][-1]
            lowest.xaxis.set_tick_params(labelbottom=True)
            lowest.set_xlabel("SRA$_u$ (%)")
        for panel in panels[:, 0]:
            panel.set_ylabel("SRA$_s$ (%)")
        heading(figure, title)
        _legend(figure, look, [Patch(color=colour, label=name) for name, colour in regions.COLOURS.items()])
        return save(figure, Path(stem))


def transfer(table: pd.DataFrame, stem: str | Path, title: str = "") -> list[Path]:
    """Draw SRA_u and SRA_s by mode, one line a model, with 95 % intervals; models stand side by side at each mode.

    Args:
        table: Rows of `iar.pipeline.audit.tables.transfer`: model, metric, mode, value, low, high; other modes than the
            benchmark's five are left out.

    Raises:
        UserError: Nothing is scored, or the files cannot be written.
    """
    look = styles(table["model"])
    modes = [mode for mode in MODES if mode in set(table["mode"])]
    table = table[table["mode"].isin(modes)].dropna(subset=["value"])
    if table.empty:
        raise UserError("no transfer to draw: no answer of the text half is scored")
    dodge = (np.arange(len(look)) - (len(look) - 1) / 2) * min(0.12, 0.62 / len(look))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.1), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(2, 1, sharex=True, sharey=True)
        for panel, (metric, label) in zip(panels, AXES.items(), strict=True):
            for number, (model, style) in enumerate(look.items()):
                line = table[(table["model"] == model) & (table["metric"] == metric)].set_index("mode")
                line = 100 * line.reindex(modes)[["value", "low", "high"]]
                errors = [line["value"] - line["low"], line["high"] - line["value"]]
                panel.errorbar(
                    np.arange(len(modes)) + dodge[number], line["value"], yerr=np.abs(errors), label=model, lw=0.7,
                    ls=LINES[number // len(COLOURS) % len(LINES)], ms=3, elinewidth=0.6, mec="white", mew=0.25, **style,
                )  # fmt: skip
            for between in np.arange(len(modes) - 1) + 0.5:
                panel.axvline(between, color="0.88", lw=0.5, zorder=0)
            panel.set_title(label, loc="left", fontsize=STYLE["font.size"])
            panel.set_ylabel(f"{label.partition(':')[0]} (%)")
            panel.set_ylim(-3, 103)
            panel.set_xticks(range(len(modes)), [MODE_LABELS[mode] for mode in modes])
            panel.tick_params(axis="x", length=0)
            panel.set_xlim(-0.5, len(modes) - 0.5)
            panel.spines[["top", "right"]].set_visible(False)
        heading(figure, title)
        _legend(figure, look)
        return save(figure, Path(stem))


def _percent(points: pd.DataFrame) -> pd.DataFrame:
    drawn = points.dropna(subset=["SRA_s", "SRA_u"])
    if drawn.empty:
        raise UserError("nothing to draw: no model has scored answers to safe and to unsafe requests")
    return drawn.assign(**{name: 100 * drawn[name] for name in ENDS})


def _plane(axes: Axes, named: bool) -> list[Text]:
    """The two regions, the frame and the grid; the regions' names as drawn."""
    texts = regions.shade(axes, across="SRA_u", named=named)
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
    axes.set_aspect("equal")
    axes.set_xticks(range(0, 101, 20))
    axes.set_yticks(range(0, 101, 20))
    axes.grid(color="0.92", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return texts


def _crosses(axes: Axes, drawn: pd.DataFrame, look: dict[str, dict[str, Any]], size: float) -> None:
    for row in drawn.to_dict("records"):
        style = look[row["model"]]
        bars: dict[str, Any] = {
            f"{axis}err": [[max(0.0, row[m] - row[f"{m}_low"])], [max(0.0, row[f"{m}_high"] - row[m])]]
            for axis, m in (("x", "SRA_u"), ("y", "SRA_s"))
        }
        axes.errorbar(
            row["SRA_u"], row["SRA_s"], **bars, fmt="none", ecolor=style["color"], elinewidth=0.7, alpha=0.6, zorder=3
        )
        axes.scatter(
            row["SRA_u"], row["SRA_s"], s=size, edgecolors="white", linewidths=0.4, zorder=5, clip_on=False, **style
        )


def _darker(colour: str) -> tuple[float, ...]:
    return tuple(0.75 * part for part in to_rgb(colour))  # small letters


def _legend(figure: Figure, look: dict[str, dict[str, Any]], more: Sequence[Patch] = ()) -> None:
    handles = [Line2D([], [], ls="", ms=4, label=model, **style) for model, style in look.items()]
    legend_below(figure, [*handles, *more], most=3, handlelength=1.2, handletextpad=0.4)
