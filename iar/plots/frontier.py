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
from matplotlib.axes import Axes as Drawn
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from iar.errors import UserError
from iar.plots import hypervolume, regions, wording
from iar.plots.strengths import write_strengths
from iar.plots.style import COLOURS, FAMILIES, HEIGHT, LINES, MARKERS, STYLE, WIDTH, heading, legend_below, save
from iar.revision import methods
from iar.stats.axes import Axes, Axis, axes_of
from iar.stats.pareto import pareto, signed

NEAR, MOST = 10, 0.7  # points of helpfulness below the best, in which at least this share of the points must lie
WIDEST = 0.5  # of the plot's width: longer intervals of helpfulness would press the points together
USUAL = axes_of(("vscbench", "pope", "scienceqa"))
RANDOM: dict[str, Any] = {"color": "0.6", "marker": "x"}
BASE: dict[str, Any] = {"color": "black", "marker": "h"}
SAID: dict[str, Any] = {"color": "black", "marker": "D", "mfc": "white", "mec": "black"}


def frontier(
    points: pd.DataFrame,
    path_without_suffix: str | Path,
    title: str = "",
    recommended: str | None = None,
    hypervolumes: pd.DataFrame | None = None,
    scores: Axes = USUAL,
    up: str = "safety: ",
    note: str = "",
) -> list[Path]:
    """Draw the figure as PNG (300 dpi) and PDF, one column wide; the same points give the same bytes.

    Args:
        path_without_suffix: Where to write; the folder is made. The others: as `figure` takes them.

    Returns:
        The files written: png, pdf.

    Raises:
        UserError: As `figure`; the files cannot be written.
    """
    drawn = figure(points, title, recommended, hypervolumes, scores, up, note)
    with mpl.rc_context(STYLE):
        return save(drawn, Path(path_without_suffix))


def figure(
    points: pd.DataFrame,
    title: str = "",
    recommended: str | None = None,
    hypervolumes: pd.DataFrame | None = None,
    scores: Axes = USUAL,
    up: str = "safety: ",
    note: str = "",
) -> Figure:
    """The figure, one column wide; to the right and upwards is better, so an axis of which less is better is turned.
    The plane of SRA_s and SRA_u shows where a model is undersafe or oversafe; with SRA_u to the right, no front.

    Args:
        points: As `iar.stats.frontier_points` returns them: configuration, method, prompting, place, variant, strength,
            safety, helpfulness, each with _low and _high (the latter's may be missing), pareto; shares from 0 to 1.
            Rows with NaN are left out, and so are few points far to the left of many: the legend counts them.
        title: Above the figure.
        recommended: Name of the configuration to point at.
        hypervolumes: As `iar.stats.hypervolumes` returns them; None draws no strip.
        scores: Which they are: `iar.stats.axes`.
        up: Before the label of the axis upwards.
        note: Above the legend: why the recommended point is where it is.

    Raises:
        UserError: No point has both scores.
    """
    drawn = placed(points)
    if "prompting" not in drawn:  # of a table that is older than the methods that prompt
        drawn = drawn.assign(prompting="")
    texts = {name: drawn[name].fillna("") for name in ("prompting", "place", "variant")}  # as read from a file
    drawn = _upwards(drawn.assign(**texts), scores)
    drawn = drawn.assign(family=wording.families(drawn))
    looks, far = _looks(drawn), _far(drawn) & (scores.helpfulness.share and not _is_plane(scores))
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
        marked = drawn["pareto"].astype(bool)
        if _is_calibration(scores):
            drawn, marked = drawn.assign(pareto=False), drawn["configuration"] == recommended
        handles = list(_draw(axes, drawn, looks, drawn[(drawn["method"] == "none") | marked], scores.helpfulness))
        if far.any():
            least = math.floor(drawn["helpfulness"].min())
            side = f"below {least}" if scores.helpfulness.better > 0 else f"above {-least}"
            handles.append(Line2D([], [], ls="", label=f"{far.sum()} points {side} % not shown"))
        if _is_plane(scores):
            _plane(axes, scores)
        axes.set_xlabel(scores.helpfulness.said)
        axes.set_ylabel(f"{up}{scores.safety.said}")
        heading(made, title)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=9, integer=scores.safety.share, steps=[1, 2, 5, 10]))
        for axis, score in ((axes.xaxis, scores.helpfulness), (axes.yaxis, scores.safety)):
            if score.better < 0:
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
        axes.grid(color="0.92", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        legend_below(made, handles, note=note)
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


def _upwards(points: pd.DataFrame, scores: Axes) -> pd.DataFrame:
    """The points as drawn: shares in percent, and a score of which less is better with a minus."""
    found = signed(points, scores)
    for column, score in zip(("helpfulness", "safety"), scores, strict=True):
        names = [name for name in (column, f"{column}_low", f"{column}_high") if name in found]
        found[names] *= 100 if score.share else 1
    return found


def _is_plane(scores: Axes) -> bool:
    return {scores.helpfulness.metric, scores.safety.metric} == {"SRA_s", "SRA_u"}


def _is_calibration(scores: Axes) -> bool:
    """Whether it shows where models stand (`iar.stats.axes.plane_of`): then without a front."""
    return _is_plane(scores) and scores.safety.metric == "SRA_s"


def _plane(axes: Drawn, scores: Axes) -> None:
    """The plane of SRA_s and SRA_u, as much of it as shows both regions and every point."""
    least = {"SRA_s": 52.0, "SRA_u": 22.0}
    left, low = (
        min(ends[0], least[score.metric])
        for ends, score in zip((axes.get_xlim(), axes.get_ylim()), scores, strict=True)
    )
    regions.shade(axes, across=scores.helpfulness.metric, corner=(left, low))
    axes.set_xlim(left, 103)
    axes.set_ylim(low, 103)


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


def _draw(
    axes: Drawn, points: pd.DataFrame, looks: dict[str, dict[str, Any]], marked: pd.DataFrame, across: Axis
) -> Iterator[Line2D]:
    """Everything but the labels, with the intervals of what is marked; yields the legend's entries in reading order."""
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
        axes.scatter(base["helpfulness"], base["safety"], s=34, zorder=6, **BASE)
        yield Line2D([], [], ls="", ms=5.2, label="unsteered", **BASE)
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
    if not marked.empty:
        yield _intervals(axes, marked, across)


def _intervals(axes: Drawn, marked: pd.DataFrame, across: Axis) -> Line2D:
    """Of the baseline and the front; where those to the right are wider than the points are apart, in words alone."""
    errors = _ends(marked, "safety")
    style: dict[str, Any] = {"fmt": "none", "ecolor": "0.75", "elinewidth": 0.7, "zorder": 0}
    axes.errorbar(marked["helpfulness"], marked["safety"], yerr=errors, **style)
    label = "95 % interval"
    if "helpfulness_low" in marked and marked["helpfulness_low"].notna().all():
        ends = _ends(marked, "helpfulness")
        half = float((ends[0] + ends[1]).mean()) / 2
        left, right = axes.get_xlim()
        if 2 * half < WIDEST * (right - left):
            axes.errorbar(marked["helpfulness"], marked["safety"], xerr=ends, **style)
        else:
            kind, _, name = across.label.partition(": ")
            label += f"\n({kind if kind == 'helpfulness' else name or kind} ±{half:.1f})"
    return Line2D([], [], color="0.75", lw=0.9, label=label)


def _ends(marked: pd.DataFrame, score: str) -> list[pd.Series]:
    """How far the interval reaches below and above; a score may lie at its end, give or take a rounding."""
    reach = (marked[score] - marked[f"{score}_low"], marked[f"{score}_high"] - marked[score])
    return [length.clip(lower=0.0) for length in reach]


def _by_line(axes: Drawn, points: pd.DataFrame) -> Iterator[Line2D]:
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


def _by_method(axes: Drawn, points: pd.DataFrame, looks: dict[str, dict[str, Any]]) -> Iterator[Line2D]:
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
