"""Names beside crowded points: all written, none on another, none outside."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from iar.plots import names as names_module
from iar.plots.names import place_names

ELEVEN = [
    f"{family}-{size}"
    for family in ("llava-1.6", "vlguard", "spa-vl", "internvl2", "deepseek-vl")
    for size in ("7b", "13b")
]
ELEVEN.append("gpt-4o")


@pytest.fixture
def axes():
    figure = Figure(figsize=(3.46, 3.46), dpi=300)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
    canvas.draw()
    return axes, canvas


def clouds():
    random = np.random.default_rng(0)
    yield "one spot", [(70.0, 80.0)] * 11
    yield "a corner", [(100.0, 0.0)] * 11
    yield "tight", [(70 + x, 80 + y) for x, y in random.normal(0, 2, (11, 2))]
    yield "top edge", [(30 + 1.5 * i, 100.0) for i in range(11)]
    yield (
        "two groups",
        [(35 + x, 92 + y) for x, y in random.normal(0, 2, (6, 2))] + [(93.0, 56.0 + i) for i in range(5)],
    )


@pytest.mark.parametrize(("spots"), [pytest.param(spots, id=name) for name, spots in clouds()])
def test_eleven_names_never_overlap_or_leave_the_axes(axes, spots):
    axes, canvas = axes
    points = [(name, x, y, "black") for name, (x, y) in zip(ELEVEN, spots, strict=True)]
    region = Bbox.from_extents(*axes.transData.transform([(2, 93), (25, 97)]).ravel())
    boxes = place_names(axes, canvas, points, boxes=[region])
    assert [text.get_text() for text in axes.texts] == ELEVEN
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert not [box for box in boxes if box.overlaps(region)]
    inside = axes.get_window_extent()
    renderer = canvas.get_renderer()
    for text in axes.texts:  # as it is drawn
        box = text.get_window_extent(renderer)
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    for (_, x, y, _), box in zip(points, boxes, strict=True):
        assert not box.contains(*axes.transData.transform((x, y)))


def test_a_name_alone_stands_right_of_its_point_without_a_leader(axes):
    axes, canvas = axes
    (box,) = place_names(axes, canvas, [("pocket", 50.0, 50.0, "black")])
    point = axes.transData.transform((50, 50))
    assert box.x0 > point[0] and (box.y0 + box.y1) / 2 == pytest.approx(point[1], abs=0.01)
    assert not axes.lines


def test_a_far_name_has_a_leader_from_its_point(axes):
    axes, canvas = axes
    place_names(axes, canvas, [(name, 50.0, 50.0, "black") for name in ELEVEN])
    assert 4 <= len(axes.lines) < 11
    for line in axes.lines:
        assert (line.get_xdata()[0], line.get_ydata()[0]) == pytest.approx((50, 50))


def test_a_name_keeps_off_error_bars(axes):
    axes, canvas = axes
    bars = [(40.0, 50.0, 60.0, 50.0), (50.0, 40.0, 50.0, 60.0)]
    (box,) = place_names(axes, canvas, [("pocket", 50.0, 50.0, "black")], lines=bars)
    for bar in bars:
        ends = axes.transData.transform([bar[:2], bar[2:]]).ravel()
        assert not hits(ends, box.extents)
    assert hits((0, 0, 10, 10), (4, 4, 6, 6)) and hits((5, 0, 5, 10), (4, 4, 6, 6))
    assert not hits((0, 0, 10, 10), (4, 7, 5, 9)) and not hits((3, 0, 3, 10), (4, 4, 6, 6))
    assert not hits((np.nan,) * 4, (4, 4, 6, 6))
    assert cross((0, 0, 10, 10), (0, 10, 10, 0)) and not cross((0, 0, 4, 4), (0, 10, 10, 0))


def hits(line, box):
    return bool(names_module._hits(np.array(line, dtype=float), np.array(box, dtype=float)))


def cross(one, other):
    return bool(names_module._cross(np.array(one, dtype=float), np.array(other, dtype=float)))
