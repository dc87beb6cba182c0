"""The words beside the points of a frontier: strengths, names of prompted points, the recommended configuration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from iar.plots import wording
from iar.plots.style import SMALL

ASIDE = ((7, 0), (-7, 0), (0, 7), (0, -7), (6, 6), (6, -6), (-6, 6), (-6, -6), (11, 3), (-11, 3), (3, 11), (3, -11))
FAR, NEAR = range(12, 90, 4), range(5, 40, 3)  # points from the recommended or a prompted point to its name
ANGLES = tuple(math.radians(angle) for angle in (90, 270, 45, 135, 315, 225, 0, 180, 68, 112, 22, 158))
RING = 4.5  # points: half the width of a ring around a point of the front


def write_strengths(
    axes: Axes, canvas: FigureCanvasAgg, points: pd.DataFrame, colours: Mapping[str, Any], recommended: str | None
) -> None:
    """Write each at the first spot that is free; where there is none it is left out. The layout must be final.

    Args:
        points: As drawn, in percent, with their ``family``.
        colours: Of the steered configurations; these alone have their strength written.
        recommended: The configuration whose name is written; always, if it is among the points.
    """
    renderer, pixel = canvas.get_renderer(), axes.figure.dpi / 72
    places = axes.transData.transform(points[["helpfulness", "safety"]].to_numpy(dtype=float))
    rings = points["pareto"].astype(bool) | (points["method"] == "none")
    taken = [
        Bbox.from_extents(x, y, x, y).padded((RING if ring else 2.6) * pixel)
        for (x, y), ring in zip(places, rings, strict=True)
    ]
    inside = axes.get_window_extent(renderer)
    for row, text, radii, style in _labels(points, colours, recommended):
        halo = [withStroke(linewidth=1.4, foreground="white")]
        spots = _around(axes, renderer, text, style, pixel, radii) if radii else ASIDE
        for x, y in spots:
            note = axes.annotate(
                text, (row["helpfulness"], row["safety"]), (x, y), textcoords="offset points", ha="center", va="center",
                zorder=7, path_effects=halo, parse_math=False, **style,
            )  # fmt: skip
            note.set_in_layout(False)
            note.update_positions(renderer)
            box = Text.get_window_extent(note, renderer)  # the text alone, without its leader
            within = inside.x0 < box.x0 and box.x1 < inside.x1 and inside.y0 < box.y0 and box.y1 < inside.y1
            if within and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                taken += _leader(axes, row, box, pixel) if "arrowprops" in style else []
                break
            note.remove()


def _around(
    axes: Axes, renderer: RendererAgg, text: str, style: Mapping[str, Any], pixel: float, radii: range
) -> Iterator[tuple[float, float]]:
    """Middles of the name's box, nearest first, in points from its point."""
    probe = axes.text(0, 0, text, fontsize=style["fontsize"], weight=style.get("weight"), parse_math=False)
    box = probe.get_window_extent(renderer)
    probe.remove()
    for radius in radii:
        for angle in ANGLES:
            x, y = math.cos(angle), math.sin(angle)
            yield x * (radius + box.width / 2 / pixel), y * (radius + box.height / 2 / pixel)


def _leader(axes: Axes, row: Mapping[str, Any], box: Bbox, pixel: float) -> list[Bbox]:
    """Small boxes along the line from the name to its point, so that no number is written on it."""
    end = axes.transData.transform((row["helpfulness"], row["safety"]))
    start = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
    steps = max(2, int(np.hypot(*(end - start)) / (2 * pixel)))
    along = [start + (end - start) * k / steps for k in range(steps + 1)]
    return [Bbox.from_extents(x, y, x, y).padded(0.6 * pixel) for x, y in along]


def _labels(
    points: pd.DataFrame, colours: Mapping[str, Any], recommended: str | None
) -> Iterator[tuple[dict[str, Any], str, range, dict[str, Any]]]:
    """Row, text, how far a name may stand (a number stands beside its point), style; the most needed first."""
    leader = {"arrowstyle": "-", "lw": 0.6, "color": "black", "shrinkA": 1, "shrinkB": 3}
    rows = {str(row["configuration"]): row for row in points.to_dict("records")}
    if recommended in rows:
        style = {"fontsize": 6.5, "weight": "bold", "arrowprops": leader}
        yield rows[recommended], f"★ recommended\n{recommended}", FAR, style
    for row in rows.values():
        if row["place"] == "" and row["method"] != "none" and row["configuration"] != recommended:
            yield row, str(row["prompting"]), NEAR, {"fontsize": SMALL, "color": "black"}
    order = points[points["configuration"].isin(list(colours))].sort_values(
        ["pareto", "strength"], ascending=False, kind="stable"
    )
    many = order["family"].map(lambda name: str(name).partition(",")[0].rpartition("+")[2]).nunique() > 1
    several = order["variant"].map(lambda variant: wording.unit(str(variant))).nunique() > 1
    for row in order.to_dict("records"):
        if many and not row["pareto"]:  # several methods: the numbers of the front alone can be read
            continue
        dark = tuple(0.75 * part for part in to_rgb(colours[str(row["configuration"])]))  # small letters
        told = f"{round(float(row['strength']), 3)}" + (f" {wording.unit(str(row['variant']))}" if several else "")
        yield row, told, range(0), {"fontsize": SMALL, "color": dark}
