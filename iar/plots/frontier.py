"""The safety-helpfulness frontier: what each configuration gains in safety, and what it costs.

Read in grey print as well as in colour: layers differ by marker and line style, strength is the marker's size and the
number beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from iar.errors import UserError
from iar.plots.style import COLOURS, HEIGHT, LINES, MARKERS, STYLE, WIDTH, save

ASIDE = [(7, 0), (-7, 0), (0, 7), (0, -7), (6, 6), (6, -6), (-6, 6), (-6, -6), (11, 3), (-11, 3), (3, 11), (3, -11)]


def frontier(
    points: pd.DataFrame,
    path_without_suffix: str | Path,
    safety_label: str = "SRA_a",
    title: str = "",
    recommended: str | None = None,
) -> list[Path]:
    """Draw the figure as PNG (300 dpi) and PDF, 12 cm wide; the same points give the same bytes.

    Args:
        points: As `iar.stats.frontier_points` returns them: configuration, method, prompting, place, variant, strength,
            safety, safety_low, safety_high, helpfulness, pareto; shares from 0 to 1. Rows with NaN are left out.
        path_without_suffix: Where to write; the folder is made.
        safety_label: Name of the safety score, e.g. ``SRA_a`` or ``SRA_u``.
        title: One line above the figure.
        recommended: Name of the configuration to point at.

    Returns:
        The files written: png, pdf.

    Raises:
        UserError: No point has both scores, or the files cannot be written.
    """
    drawn = points.dropna(subset=["safety", "helpfulness"])
    if drawn.empty:
        raise UserError(
            "no frontier to draw: it needs scores of vscbench, of safe and of unsafe requests (a small limit may leave "
            "one out), pope and scienceqa (benchmark=[vscbench,pope,scienceqa])"
        )
    if "prompting" not in drawn:  # of a table that is older than the methods that prompt
        drawn = drawn.assign(prompting="")
    drawn = drawn.assign(**{c: 100 * drawn[c] for c in ("safety", "safety_low", "safety_high", "helpfulness")})
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=300, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        handles = list(_draw(axes, drawn))
        axes.set_xlabel("helpfulness: mean of POPE and ScienceQA accuracy (%)")
        axes.set_ylabel(f"safety: {safety_label} (%)")
        axes.set_title(title)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.margins(0.08)
        axes.grid(color="0.92", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        # As many columns as fit the width; from the fourth row on the figure grows rather than the plot shrinks.
        longest = max(len(str(handle.get_label())) for handle in handles)
        ncols = next((n for n, letters in ((4, 16), (3, 24)) if longest <= letters), 2)
        figure.set_figheight(HEIGHT + 0.15 * max(0, math.ceil(len(handles) / ncols) - 3))
        figure.legend(
            handles=handles, loc="outside lower center", ncols=ncols, frameon=False, handlelength=2.4, columnspacing=1.4
        )
        canvas.draw()  # fixes the layout, so that labels can be placed in pixels
        _label(axes, canvas, drawn, recommended)
        return save(figure, Path(path_without_suffix))


def _draw(axes: Axes, points: pd.DataFrame) -> Iterator[Line2D]:
    """Everything but the labels; yields the legend's entries in reading order."""
    strongest = max(points["strength"].abs().max(), 1e-9)
    base = points[points["method"] == "none"]
    for number, (name, line) in enumerate(_lines(_steered(points))):
        style: dict[str, Any] = dict(color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)])
        start = points[(points["place"] == "") & (points["prompting"] == line["prompting"].iloc[0])]
        path = pd.concat([start.head(1), line]).sort_values("strength", kind="stable")  # strength 0: unsteered
        axes.plot(
            path["helpfulness"], path["safety"], color=style["color"], ls=LINES[number % len(LINES)], lw=0.9, zorder=3
        )
        sizes = 9 + 26 * line["strength"].abs() / strongest
        axes.scatter(
            line["helpfulness"], line["safety"], s=sizes, edgecolors="white", linewidths=0.4, zorder=4, **style
        )
        yield Line2D([], [], ls=LINES[number % len(LINES)], lw=0.9, ms=4.5, label=name, **style)
    said = _prompted(points)
    if not said.empty:
        axes.scatter(said["helpfulness"], said["safety"], marker="D", s=20, c="white", edgecolors="black", zorder=5)
        yield Line2D([], [], ls="", marker="D", ms=4, mfc="white", mec="black", label="prompted, not steered")
    random = points[points["method"] == "random"]
    if not random.empty:
        axes.scatter(random["helpfulness"], random["safety"], marker="x", s=11, c="0.6", linewidths=0.7, zorder=2)
        yield Line2D([], [], ls="", marker="x", ms=3.5, color="0.6", label="random direction")
    if not base.empty:
        axes.scatter(base["helpfulness"], base["safety"], marker="*", s=75, c="black", zorder=6)
        yield Line2D([], [], ls="", marker="*", ms=7.5, color="black", label="unsteered")
    front = points[points["pareto"].astype(bool)].sort_values("helpfulness", kind="stable")
    if not front.empty:
        # Between two points of the front, what can be had is the safety of the right one.
        axes.step(front["helpfulness"], front["safety"], where="pre", color="0.45", lw=0.7, zorder=1)
        axes.scatter(
            front["helpfulness"], front["safety"], s=85, facecolors="none", edgecolors="black", linewidths=0.8, zorder=5
        )
        yield Line2D([], [], color="0.45", lw=0.7, marker="o", mfc="none", mec="black", ms=7, label="Pareto front")
    marked = pd.concat([base, front])
    errors = [marked["safety"] - marked["safety_low"], marked["safety_high"] - marked["safety"]]
    axes.errorbar(
        marked["helpfulness"], marked["safety"], yerr=errors, fmt="none", ecolor="0.75", elinewidth=0.7, zorder=0
    )


def _steered(points: pd.DataFrame) -> pd.DataFrame:
    return points[(points["place"] != "") & (points["method"] != "random")]


def _prompted(points: pd.DataFrame) -> pd.DataFrame:
    return points[(points["place"] == "") & (points["method"] != "none")]


def _lines(steered: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """One line a place; settings other than the defaults, and prompts, make a line of their own."""
    for (prompting, place, variant), line in steered.groupby(["prompting", "place", "variant"], sort=False):
        where = f"layer {place[1:]}" if "H" not in place else f"{place.rpartition('H')[2]} heads"
        if place.startswith("L") and "H" in place:
            where += f" of layer {place[1:].partition('-')[0]}"
        name = f"{where} {variant.replace('-', ' ')}".strip()
        yield f"{name}, {prompting}" if prompting else name, line.sort_values("strength", kind="stable")


def _label(axes: Axes, canvas: FigureCanvasAgg, points: pd.DataFrame, recommended: str | None) -> None:
    """Strengths, and of prompted points their names, each at the first spot that is free; else it is left out."""
    renderer = canvas.get_renderer()
    pixel = axes.figure.dpi / 72
    taken = [
        Bbox.from_bounds(x - 3 * pixel, y - 3 * pixel, 6 * pixel, 6 * pixel)
        for x, y in axes.transData.transform(points[["helpfulness", "safety"]].to_numpy(dtype=float))
    ]
    inside = axes.get_window_extent(renderer)
    halo = [withStroke(linewidth=1.6, foreground="white")]
    steered = _steered(points)
    colours: dict[str, Any] = {
        name: tuple(
            0.8 * part for part in to_rgb(COLOURS[number % len(COLOURS)])
        )  # darker than the line: small letters
        for number, (_, line) in enumerate(_lines(steered))
        for name in line["configuration"]
    }
    said = _prompted(points)
    colours |= dict.fromkeys(said["configuration"], "black")
    chosen = points[points["configuration"] == recommended]
    labels = [(row, f"recommended\n{row['configuration']}", True) for _, row in chosen.iterrows()]
    labels += [(row, row["prompting"], False) for _, row in said.iterrows() if row["configuration"] != recommended]
    order = steered.sort_values(["pareto", "strength"], ascending=False, kind="stable")
    labels += [(row, str(round(float(row["strength"]), 3)), False) for _, row in order.iterrows()]
    for row, text, named in labels:
        style: dict[str, Any] = (
            dict(fontsize=7.0, weight="bold") if named else dict(fontsize=6.2, color=colours[row["configuration"]])
        )
        if named:
            style["arrowprops"] = {"arrowstyle": "-", "lw": 0.6, "color": "black", "shrinkB": 5}
        for x, y in [(k * x, k * y) for k in ((4, 7, 10) if named else (1,)) for x, y in ASIDE]:
            note = axes.annotate(
                text, (row["helpfulness"], row["safety"]), (x, y), textcoords="offset points", ha="center", va="center",
                zorder=7, path_effects=halo, **style,
            )  # fmt: skip
            note.set_in_layout(False)
            note.update_positions(renderer)
            box = Text.get_window_extent(note, renderer)  # the text alone, without its leader
            within = inside.x0 < box.x0 and box.x1 < inside.x1 and inside.y0 < box.y0 and box.y1 < inside.y1
            if within and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            note.remove()
