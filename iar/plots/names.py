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

Line: TypeAlias = tuple[float, float, float, float]  # x0, y0, x1, y1
Spot: TypeAlias = tuple[Bbox, "Line | None", float]  # a name's box and leader in pixels, and its distance in points

RADII = (4.5, 7, 11, 16, 22, 29, 37, 46, 56, 67, 80, 95, 112, 130)  # points from the marker's middle to the name's box
ANGLES = tuple(k * math.pi / 8 for k in (0, 8, 4, 12, 2, 6, 14, 10, 1, 7, 15, 9, 3, 5, 13, 11))  # right, left, up, …
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
    inside = axes.get_window_extent(renderer)
    places = axes.transData.transform([(x, y) for _, x, y, _ in names])
    points = [Bbox.from_extents(x, y, x, y).padded(MARKER * pixel) for x, y in places]
    fixed = [*boxes, *points]
    drawn: list[Line] = [tuple(axes.transData.transform([line[:2], line[2:]]).ravel()) for line in lines]
    spots: list[list[Spot]] = []
    costs: list[np.ndarray] = []  # of what does not move
    for (text, *_), own in zip(names, places, strict=True):
        box = _size(axes, renderer, text, size).padded(AROUND * pixel)
        own_spots = [_spot(tuple(own), box, radius, angle, pixel) for radius in RADII for angle in ANGLES]
        spots.append(own_spots)
        costs.append(np.array([_cost(spot, tuple(own), inside, fixed, drawn) for spot in own_spots]))
    chosen: dict[int, int] = {}
    distances = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    order = np.argsort(np.sort(distances, axis=1)[:, :4].sum(axis=1), kind="stable")
    for _ in range(ROUNDS):
        before = dict(chosen)
        for index in map(int, order):
            others = [spots[other][place] for other, place in chosen.items() if other != index]
            found = costs[index] + [sum(_between(spot, other) for other in others) for spot in spots[index]]
            chosen[index] = int(found.argmin())
        if chosen == before:
            break
    result = []
    for index, (text, _, _, colour) in enumerate(names):
        box, leader, _ = spots[index][chosen[index]]
        _write(axes, text, box, leader, colour, size)
        result.append(box)
    return result


def _size(axes: Axes, renderer: object, text: str, size: float) -> Bbox:
    probe = axes.text(0, 0, text, fontsize=size)
    box = probe.get_window_extent(renderer)  # type: ignore[arg-type]
    probe.remove()
    return box


def _write(axes: Axes, text: str, box: Bbox, leader: Line | None, colour: object, size: float) -> Text:
    back = axes.transData.inverted()
    if leader is not None:
        ends = back.transform([leader[:2], leader[2:]])
        axes.plot(*ends.T, color=colour, lw=0.5, zorder=4, scalex=False, scaley=False)
    middle = back.transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
    halo = [withStroke(linewidth=1.2, foreground="white")]
    note = axes.text(
        middle[0], middle[1], text, ha="center", va="center", fontsize=size, color=colour, zorder=8, path_effects=halo
    )
    note.set_in_layout(False)
    return note


def _spot(own: tuple[float, ...], size: Bbox, radius: float, angle: float, pixel: float) -> Spot:
    """The box touches the circle of that radius around the point; the leader ends at its nearest place."""
    x = own[0] + math.cos(angle) * (radius * pixel + size.width / 2)
    y = own[1] + math.sin(angle) * (radius * pixel + size.height / 2)
    box = Bbox.from_bounds(x - size.width / 2, y - size.height / 2, size.width, size.height)
    if radius <= LEADER:
        return box, None, radius
    return box, (own[0], own[1], min(max(own[0], box.x0), box.x1), min(max(own[1], box.y0), box.y1)), radius


def _cost(spot: Spot, own: tuple[float, ...], inside: Bbox, boxes: Sequence[Bbox], lines: Sequence[Line]) -> float:
    """What a spot costs by itself: its distance, and what it covers of what does not move."""
    box, leader, radius = spot
    cost = radius
    if not (inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1):
        cost += OUTSIDE
    cost += COVERED * sum(box.overlaps(other) for other in boxes)
    cost += CROSSED * sum(_hits(line, box) for line in lines)
    if leader is not None:
        cost += MISLED * sum(_hits(leader, other) for other in boxes if not other.contains(*own))
    return cost


def _between(one: Spot, other: Spot) -> float:
    """What two names at these spots take from each other."""
    cost = COVERED * one[0].overlaps(other[0])
    if one[1] is not None:
        cost += 2 * CROSSED * _hits(one[1], other[0])
    if other[1] is not None:
        cost += 2 * CROSSED * _hits(other[1], one[0])
    if one[1] is not None and other[1] is not None:
        cost += CROSSED * _cross(one[1], other[1])
    return float(cost)


def _hits(line: Line, box: Bbox) -> bool:
    """Whether a line runs through a box (Liang & Barsky's clipping)."""
    x0, y0, x1, y1 = line
    first, last = 0.0, 1.0
    for step, low, high in ((x1 - x0, box.x0 - x0, box.x1 - x0), (y1 - y0, box.y0 - y0, box.y1 - y0)):
        if step == 0:
            if low > 0 or high < 0:
                return False
            continue
        near, far = sorted((low / step, high / step))
        first, last = max(first, near), min(last, far)
    return first <= last


def _cross(one: Line, other: Line) -> bool:
    """Whether two lines cross: the ends of each lie on different sides of the other."""

    def side(line: Line, x: float, y: float) -> float:
        return (line[2] - line[0]) * (y - line[1]) - (line[3] - line[1]) * (x - line[0])

    return side(one, *other[:2]) * side(one, *other[2:]) < 0 and side(other, *one[:2]) * side(other, *one[2:]) < 0
