from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from iar.plots.style import CHANGE, FAMILIES, STYLE, WIDTH, heading, legend_below


@pytest.fixture
def figure():
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2), dpi=300, layout="constrained")
        figure.add_subplot()
        yield figure


@pytest.mark.parametrize(
    "title", ["short", "many words that do not fit on one line " * 3, "one\ntwo", "cost $5_a or $6_b", "x" * 200]
)
def test_a_title_keeps_its_words_and_stays_inside(figure, title):
    heading(figure, title)
    FigureCanvasAgg(figure).draw()
    box, note = figure._suptitle.get_window_extent(), figure.get_suptitle()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    assert note.replace("\n", "").replace(" ", "") == title.replace("\n", "").replace(" ", "")
    assert ("\n" in note) == (title != "short" and "$" not in title)


def test_no_title_takes_no_room(figure):
    heading(figure, " ")
    assert figure.get_suptitle() == ""


@pytest.mark.parametrize(("letters", "columns"), [(3, 4), (12, 2), (24, 1)])
def test_a_legend_has_the_columns_that_fit(figure, letters, columns):
    legend = legend_below(figure, [Line2D([], [], label="m" * letters) for _ in range(6)])
    assert legend._ncols == columns and figure.legends == [legend]
    assert figure.get_figheight() > 2.1
    FigureCanvasAgg(figure).draw()
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.y0 >= -1 and box.x1 <= figure.bbox.x1
    assert figure.axes[0].get_window_extent().height > 1.4 * 300  # what the legend takes, the plot keeps


def test_eight_methods_look_different():
    assert len(set(FAMILIES)) == len({colour for colour, _ in FAMILIES}) == len({m for _, m in FAMILIES}) == 8


def test_changes_are_even_both_ways():
    """Both ends are about as dark, and apart in blue as in red: also without colour, and without red or green."""
    low, middle, high = (CHANGE(x) for x in (0.0, 0.5, 1.0))
    light = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b, _ in (low, middle, high)]
    assert light[1] > 0.9 and abs(light[0] - light[2]) < 0.12 and max(light[0], light[2]) < 0.45
    assert high[2] - low[2] > 0.4
