"""Names beside their points, where many points lie close together: each at the nearest spot that is free.

A point's name may stand at any of sixteen angles and several distances; a far one gets a leader line. A spot costs its
distance and, much more, what it would cover: other names and points, then lines (error bars, leaders). Names are placed
one after the other, those with the closest neighbours first, each at its cheapest spot; then every name may move again,
knowing where the others are, until none wants to. No name is left out, and the same points give the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

Line: TypeAlias = tuple[float, float, float, float]  # x0, y0, x1, y1
Floats: TypeAlias = NDArray[np.float64]
Truths: TypeAlias = NDArray[np.bool_]
Spots: TypeAlias = tuple[Floats, Floats]  # boxes and leaders in pixels, (spots, 4); NaN where no leader is

RADII = (4.5, 7, 11, 16, 22, 29, 37, 46, 56, 67, 80, 95, 112, 130)  # points from the marker's middle to the name's box
ANGLES = tuple(k * math.pi / 8 for k in (0, 8, 4, 12, 2, 6, 14, 10, 1, 7, 15, 9, 3, 5, 13, 11))  # right, left, up, …
AWAY = np.repeat(np.array(RADII, dtype=float), len(ANGLES))  # of each spot
TOWARDS = np.array([(math.cos(angle), math.sin(angle)) for _ in RADII for angle in ANGLES])
LEADER = 8  # a name farther away than this has a line to its point
MARKER, AROUND = 3.0, 0.8  # half the width of a marker, and room around a name, in points
OUTSIDE, COVERED, MISLED, CROSSED = 10000.0, 1000.0, 400.0, 40.0  # misled: a leader runs over another point
ROUNDS = 8


def place_names(
    axes: Axes,
    canvas: FigureCanvasAgg,
    names: Sequence[tuple[str, float, float, object]],
    lines: Sequence[Line] = (),
    boxes: Sequence[Bbox] = (),
    size: float = 6.5,
) -> list[Bbox]:
    """Write the names; the layout of the figure must be final.

    Args:
        names: Text, x and y of the point in data units, colour.
        lines: Drawn lines to keep off, in data units.
        boxes: What else is in the way, in pixels.
        size: Of the letters, in points.

    Returns:
        The boxes of the names, in pixels.
    """
    renderer, pixel = canvas.get_renderer(), axes.figure.dpi / 72
    inside = np.array(axes.get_window_extent(renderer).extents)
    places = axes.transData.transform([(x, y) for _, x, y, _ in names])
    points = np.hstack([places - MARKER * pixel, places + MARKER * pixel])
    fixed = np.vstack([*(box.extents for box in boxes), *points])
    drawn = np.array([axes.transData.transform([line[:2], line[2:]]).ravel() for line in lines]).reshape(-1, 4)
    spots: list[Spots] = []
    costs: list[Floats] = []  # of what does not move
    for (text, *_), own in zip(names, places, strict=True):
        box = _size(axes, renderer, text, size).padded(AROUND * pixel)
        spots.append(_spots(own, box, pixel))
        costs.append(_cost(spots[-1], own, inside, fixed, drawn))
    chosen: dict[int, int] = {}
    distances = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    order = np.argsort(np.sort(distances, axis=1)[:, :4].sum(axis=1), kind="stable")
    for _ in range(ROUNDS):
        before = dict(chosen)
        for index in map(int, order):
            others = [[part[place] for part in spots[other]] for other, place in chosen.items() if other != index]
            chosen[index] = int((costs[index] + _between(spots[index], others)).argmin())
        if chosen == before:
            break
    result = []
    for index, (text, _, _, colour) in enumerate(names):
        extents, leader = (part[chosen[index]] for part in spots[index])
        result.append(Bbox.from_extents(*extents))
        _write(axes, text, result[-1], leader, colour, size)
    return result


def _size(axes: Axes, renderer: object, text: str, size: float) -> Bbox:
    probe = axes.text(0, 0, text, fontsize=size)
    box = probe.get_window_extent(renderer)  # type: ignore[arg-type]
    probe.remove()
    return box


def _write(axes: Axes, text: str, box: Bbox, leader: Floats, colour: object, size: float) -> Text:
    back = axes.transData.inverted()
    if not np.isnan(leader).any():
        ends = back.transform([leader[:2], leader[2:]])
        axes.plot(*ends.T, color=colour, lw=0.5, zorder=4, scalex=False, scaley=False)
    middle = back.transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
    halo = [withStroke(linewidth=1.2, foreground="white")]
    note = axes.text(
        middle[0], middle[1], text, ha="center", va="center", fontsize=size, color=colour, zorder=8, path_effects=halo
    )
    note.set_in_layout(False)
    return note


def _spots(own: Floats, size: Bbox, pixel: float) -> Spots:
    """The boxes touch the circles of the radii around the point; a leader ends at its box's nearest place."""
    half = np.array([size.width / 2, size.height / 2])
    low = own + TOWARDS * (AWAY[:, None] * pixel + half) - half
    high = low + np.array([size.width, size.height])
    leaders = np.hstack([np.broadcast_to(own, low.shape), np.clip(own, low, high)])
    leaders[AWAY <= LEADER] = np.nan
    return np.hstack([low, high]), leaders


def _cost(spots: Spots, own: Floats, inside: Floats, boxes: Floats, lines: Floats) -> Floats:
    """What each spot costs by itself: its distance, and what it covers of what does not move."""
    placed, leaders = spots
    outside = (placed[:, :2] < inside[:2]) | (placed[:, 2:] > inside[2:])
    others = boxes[((own < boxes[:, :2]) | (own > boxes[:, 2:])).any(1)]
    cost: Floats = (
        AWAY
        + OUTSIDE * outside.any(1)
        + COVERED * _overlap(placed[:, None], boxes).sum(1)
        + CROSSED * _hits(lines, placed[:, None]).sum(1)
        + MISLED * _hits(leaders[:, None], others).sum(1)
    )
    return cost


def _between(spots: Spots, others: Sequence[Sequence[Floats]]) -> Floats:
    """What a name at each spot and the other names, where they are, take from each other."""
    boxes, leaders = (part[:, None] for part in spots)
    placed, led = np.array(others).reshape(-1, 2, 4).transpose(1, 0, 2)
    hit = 2.0 * _hits(leaders, placed) + 2.0 * _hits(led, boxes) + _cross(leaders, led)
    cost: Floats = (COVERED * _overlap(boxes, placed) + CROSSED * hit).sum(1)
    return cost


def _overlap(one: Floats, other: Floats) -> Truths:
    """Whether boxes (…, 4) overlap."""
    return np.asarray(((one[..., :2] <= other[..., 2:]) & (other[..., :2] <= one[..., 2:])).all(-1))


def _hits(lines: Floats, boxes: Floats) -> Truths:
    """Whether lines (…, 4) run through boxes (…, 4) (Liang & Barsky's clipping); one of NaN runs through none."""
    start, step = lines[..., :2], lines[..., 2:] - lines[..., :2]
    low, high = boxes[..., :2] - start, boxes[..., 2:] - start
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = low / step, high / step
    beside = (step == 0) & ((low > 0) | (high < 0))
    first = np.where(step == 0, 0.0, np.minimum(*ends)).max(-1)
    last = np.where(step == 0, 1.0, np.maximum(*ends)).min(-1)
    return np.asarray(~beside.any(-1) & (np.maximum(first, 0.0) <= np.minimum(last, 1.0)))


def _cross(one: Floats, other: Floats) -> Truths:
    """Whether lines (…, 4) cross: the ends of each lie on different sides of the other; one of NaN crosses none."""

    def side(line: Floats, end: Floats) -> Floats:
        x, y = end[..., 0] - line[..., 0], end[..., 1] - line[..., 1]
        return (line[..., 2] - line[..., 0]) * y - (line[..., 3] - line[..., 1]) * x

    apart = side(one, other[..., :2]) * side(one, other[..., 2:]) < 0
    return apart & (side(other, one[..., :2]) * side(other, one[..., 2:]) < 0)
