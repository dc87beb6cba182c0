"""The safety-helpfulness frontier: what each configuration gains in safety, and what it costs.

One method: a line a layer, strengths beside the points. Several methods: a colour and a marker a method, each with its
own front. Below, every method's hypervolume with its interval. Read in grey print as well as in colour.
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
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from iar.errors import UserError
from iar.plots import hypervolume, wording
from iar.plots.strengths import write_strengths
from iar.plots.style import COLOURS, FAMILIES, HEIGHT, LINES, MARKERS, STYLE, WIDTH, heading, legend_below, save
from iar.revision import methods
from iar.stats.pareto import pareto

NEAR, MOST = 10, 0.7  # points of helpfulness below the best, in which at least this share of the points must lie
WIDEST = 0.5  # of the plot's width: longer intervals of helpfulness would press the points together
LABELS = ("helpfulness: mean of POPE and ScienceQA accuracy", "SRA$_a$")
SHARES = ("safety", "safety_low", "safety_high", "helpfulness", "helpfulness_low", "helpfulness_high")
RANDOM: dict[str, Any] = {"color": "0.6", "marker": "x"}
BASE: dict[str, Any] = {"color": "black", "marker": "*"}
SAID: dict[str, Any] = {"color": "black", "marker": "D", "mfc": "white", "mec": "black"}


def frontier(
    points: pd.DataFrame,
    path_without_suffix: str | Path,
    title: str = "",
    recommended: str | None = None,
    hypervolumes: pd.DataFrame | None = None,
    labels: tuple[str, str] = LABELS,
    up: str = "safety: ",
) -> list[Path]:
    """Draw the figure as PNG (300 dpi) and PDF, one column wide; the same points give the same bytes.

    Args:
        path_without_suffix: Where to write; the folder is made. The others: as `figure` takes them.

    Returns:
        The files written: png, pdf.

    Raises:
        UserError: As `figure`; the files cannot be written.
    """
    drawn = figure(points, title, recommended, hypervolumes, labels, up)
    with mpl.rc_context(STYLE):
        return save(drawn, Path(path_without_suffix))


def figure(
    points: pd.DataFrame,
    title: str = "",
    recommended: str | None = None,
    hypervolumes: pd.DataFrame | None = None,
    labels: tuple[str, str] = LABELS,
    up: str = "safety: ",
) -> Figure:
    """The figure, one column wide.

    Args:
        points: As `iar.stats.frontier_points` returns them: configuration, method, prompting, place, variant, strength,
            safety, helpfulness, each with _low and _high (the latter's may be missing), pareto; shares from 0 to 1.
            Rows with NaN are left out, and so are few points far to the left of many: the legend counts them.
        title: Above the figure.
        recommended: Name of the configuration to point at.
        hypervolumes: As `iar.stats.hypervolumes` returns them; None draws no strip.
        labels: What the axes say, the one to the right first: `iar.stats.axes`.
        up: Before the label of the axis upwards.

    Raises:
        UserError: No point has both scores.
    """
    drawn = placed(points)
    if "prompting" not in drawn:  # of a table that is older than the methods that prompt
        drawn = drawn.assign(prompting="")
    texts = {name: drawn[name].fillna("") for name in ("prompting", "place", "variant")}  # as read from a file
    drawn = drawn.assign(**texts, **{name: 100 * drawn[name] for name in SHARES if name in drawn})
    drawn = drawn.assign(family=wording.families(drawn))
    looks, far = _looks(drawn), _far(drawn)
    drawn = drawn[~far]
    areas = None if hypervolumes is None else hypervolume.rows(hypervolumes)
    if areas is not None:
        areas = areas[areas["group"].isin(set(drawn["family"]))]
    below = 0.0 if areas is None or len(areas) < 2 else hypervolume.height(areas)
    with mpl.rc_context(STYLE):
        made = Figure(figsize=(WIDTH, HEIGHT + below), dpi=300, layout="constrained")
        canvas = FigureCanvasAgg(made)
        if below and areas is not None:
            parts = made.subfigures(2, 1, height_ratios=(HEIGHT, below), squeeze=False)  # each with its own margins
            upper, lower = parts[:, 0]
            axes = upper.add_subplot()
            hypervolume.strip(lower.add_subplot(), areas, looks if _several(drawn) else _others(drawn))
        else:
            axes = made.add_subplot()
        handles = list(_draw(axes, drawn, looks))
        if far.any():
            least = math.floor(drawn["helpfulness"].min())
            handles.append(Line2D([], [], ls="", label=f"{far.sum()} points below {least} % not shown"))
        axes.set_xlabel(f"{labels[0]} (%)")
        axes.set_ylabel(f"{up}{labels[1]} (%)")
        heading(made, title)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, steps=[1, 2, 5, 10]))
        axes.grid(color="0.92", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        legend_below(made, handles)
        made.draw_without_rendering()  # fixes the layout, so that labels can be placed in pixels
        write_strengths(
            axes, canvas, drawn, {name: look["color"] for name, look in _colours(drawn, looks)}, recommended
        )
        return made


def placed(points: pd.DataFrame) -> pd.DataFrame:
    """The points that have both scores.

    Raises:
        UserError: There is none.
    """
    found = points.dropna(subset=["safety", "helpfulness"])
    if found.empty:
        raise UserError(
            "no frontier to draw: it needs scores of vscbench or xstest, of safe and of unsafe requests (a small limit "
            "may leave one out)"
        )
    return found


def _far(points: pd.DataFrame) -> pd.Series:
    """(points,) whether so few lie so far to the left that the others would be drawn as one column."""
    far = points["helpfulness"] < points["helpfulness"].max() - NEAR
    far &= (points["method"] != "none") & ~points["pareto"].astype(bool)
    return far if far.mean() <= 1 - MOST and len(points) > 10 else far & False


def _several(points: pd.DataFrame) -> bool:
    """Whether several ways of steering are compared; at layers and at heads is one."""
    return len({method.rpartition("+")[2] for method in steered(points)["method"]}) > 1


def _looks(points: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Colour and marker of every family; more than eight begin again with the colours, no two are alike."""
    found: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(dict.fromkeys(steered(points)["family"])):
        colour, marker = FAMILIES[number % len(FAMILIES)]
        if number >= len(FAMILIES):
            marker = MARKERS[(number + number // len(FAMILIES)) % len(MARKERS)]
        found[name] = {"color": colour, "marker": marker}
    return {**found, **_others(points)}


def _others(points: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Looks of what is not steered by the pairs' vectors."""
    random = dict.fromkeys(points["family"][points["method"].isin(methods.controls())], RANDOM)
    return {**random, **dict.fromkeys(prompted(points)["family"], SAID), "none": BASE}


def steered(points: pd.DataFrame) -> pd.DataFrame:
    """Rows of a vector of the pairs, not of a control."""
    return points[(points["place"] != "") & ~points["method"].isin(methods.controls())]


def prompted(points: pd.DataFrame) -> pd.DataFrame:
    """Rows that are prompted, not steered."""
    return points[(points["place"] == "") & (points["method"] != "none")]


def _draw(axes: Axes, points: pd.DataFrame, looks: dict[str, dict[str, Any]]) -> Iterator[Line2D]:
    """Everything but the labels; yields the legend's entries in reading order."""
    base = points[points["method"] == "none"]
    yield from (_by_method(axes, points, looks) if _several(points) else _by_line(axes, points))
    said = prompted(points)
    if not said.empty:
        axes.scatter(said["helpfulness"], said["safety"], marker="D", s=14, c="white", edgecolors="black", zorder=5)
        yield Line2D([], [], ls="", ms=3.5, label="prompted, not steered", **SAID)
    random = points[points["method"].isin(methods.controls())]
    if not random.empty:
        axes.scatter(random["helpfulness"], random["safety"], s=9, linewidths=0.7, zorder=2, **RANDOM)
        alone = bool((random["method"] == "random").all())
        yield Line2D([], [], ls="", ms=3.5, label="random direction" if alone else "controls", **RANDOM)
    if not base.empty:
        axes.scatter(base["helpfulness"], base["safety"], s=55, zorder=6, **BASE)
        yield Line2D([], [], ls="", ms=6.5, label="unsteered", **BASE)
    front = points[points["pareto"].astype(bool)].sort_values("helpfulness", kind="stable")
    if not front.empty:
        # Between two points of the front, what can be had is the safety of the right one.
        axes.step(front["helpfulness"], front["safety"], where="pre", color="0.45", lw=0.7, zorder=1)
        axes.scatter(
            front["helpfulness"], front["safety"], s=62, facecolors="none", edgecolors="black", linewidths=0.7, zorder=5
        )
        yield Line2D([], [], color="0.45", lw=0.7, marker="o", mfc="none", mec="black", ms=6, label="Pareto front")
    axes.margins(0.08, 0.1)
    axes.autoscale_view()
    marked = pd.concat([base, front])
    if not marked.empty:
        yield _intervals(axes, marked)


def _intervals(axes: Axes, marked: pd.DataFrame) -> Line2D:
    """Of the baseline and the front; where those of helpfulness are wider than the points are apart, in words alone."""
    errors = [marked["safety"] - marked["safety_low"], marked["safety_high"] - marked["safety"]]
    style: dict[str, Any] = {"fmt": "none", "ecolor": "0.75", "elinewidth": 0.7, "zorder": 0}
    axes.errorbar(marked["helpfulness"], marked["safety"], yerr=errors, **style)
    label = "95 % interval"
    if "helpfulness_low" in marked and marked["helpfulness_low"].notna().all():
        ends = [marked["helpfulness"] - marked["helpfulness_low"], marked["helpfulness_high"] - marked["helpfulness"]]
        half = float((ends[0] + ends[1]).mean()) / 2
        left, right = axes.get_xlim()
        if 2 * half < WIDEST * (right - left):
            axes.errorbar(marked["helpfulness"], marked["safety"], xerr=ends, **style)
        else:
            label += f"\n(helpfulness ±{half:.1f})"
    return Line2D([], [], color="0.75", lw=0.9, label=label)


def _by_line(axes: Axes, points: pd.DataFrame) -> Iterator[Line2D]:
    """A line a place, in the order of its strengths, through the point it starts at."""
    strongest = max(points["strength"].abs().max(), 1e-9)
    for number, (name, line) in enumerate(_lines(steered(points))):
        style: dict[str, Any] = dict(color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)])
        dashes = LINES[number % len(LINES)]
        start = points[(points["place"] == "") & (points["prompting"] == line["prompting"].iloc[0])]
        path = pd.concat([start.head(1), line]).sort_values("strength", kind="stable")  # strength 0: unsteered
        axes.plot(path["helpfulness"], path["safety"], color=style["color"], ls=dashes, lw=0.8, zorder=3)
        sizes = 7 + 20 * line["strength"].abs() / strongest
        axes.scatter(
            line["helpfulness"], line["safety"], s=sizes, edgecolors="white", linewidths=0.4, zorder=4, **style
        )
        yield Line2D([], [], ls=dashes, lw=0.8, ms=4, label=name, **style)


def _by_method(axes: Axes, points: pd.DataFrame, looks: dict[str, dict[str, Any]]) -> Iterator[Line2D]:
    """All points of a method small and pale, its own front joined."""
    base = points[points["method"] == "none"]
    names = list(dict.fromkeys(steered(points)["family"]))
    for number, name in enumerate(names):
        own, dashes = points[points["family"] == name], LINES[number % len(LINES)]
        every = pd.concat([own, base])
        on = pareto(list(zip(every["helpfulness"], every["safety"], strict=True)))
        front = every[on].sort_values("helpfulness", kind="stable")
        axes.scatter(own["helpfulness"], own["safety"], s=8, alpha=0.35, linewidths=0, zorder=3, **looks[name])
        best = own[own["configuration"].isin(front["configuration"])]
        axes.scatter(
            best["helpfulness"], best["safety"], s=18, edgecolors="white", linewidths=0.4, zorder=4, **looks[name]
        )
        axes.plot(front["helpfulness"], front["safety"], color=looks[name]["color"], ls=dashes, lw=0.8, zorder=3)
        yield Line2D([], [], ls=dashes, lw=0.8, ms=4, label=wording.spoken(name, names), **looks[name])


def _lines(points: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """One line a place; settings other than the defaults, and prompts, make a line of their own."""
    several = points["variant"][points["place"] != ""].map(wording.unit).nunique() > 1
    for (prompting, place, variant), line in points.groupby(["prompting", "place", "variant"], sort=False):
        told = wording.with_unit(variant, several and place != "")
        yield wording.line(place, told, prompting), line.sort_values("strength", kind="stable")


def _colours(points: pd.DataFrame, looks: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Configuration -> look of its number: as its line or its method."""
    own = steered(points)
    if _several(points):
        for row in own.to_dict("records"):
            yield str(row["configuration"]), looks[row["family"]]
        return
    for number, (_, line) in enumerate(_lines(own)):
        for name in line["configuration"]:
            yield str(name), {"color": COLOURS[number % len(COLOURS)]}
