"""What tests of the figures share: which texts a figure draws, and whether any two of them are on each other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from iar.plots.style import SMALL, STYLE

NARROWEST = 5.0  # points


def _written(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Text, Bbox]]:
    """Every text that is really drawn, with its box in pixels."""
    found: list[tuple[Text, Bbox]] = []
    draw = Text.draw

    def recorded(self, renderer, *rest, **more):
        if self.get_visible() and self.get_text().strip():
            found.append((self, Text.get_window_extent(self, renderer)))
        return draw(self, renderer, *rest, **more)

    with mpl.rc_context(STYLE), monkeypatch.context() as patched:
        patched.setattr(Text, "draw", recorded)
        FigureCanvasAgg(figure).draw()
    return found


@pytest.fixture
def check_texts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Figure], list[str]]:
    """Fails where two texts overlap, one leaves the figure or is too small; the texts drawn."""

    def check(figure: Figure) -> list[str]:
        texts = _written(figure, monkeypatch)
        assert len(texts) > 5
        sheet, pixel = figure.bbox, figure.dpi / 72
        for text, box in texts:
            inside = box.x0 > -1 and box.y0 > -1 and box.x1 < sheet.x1 + 1 and box.y1 < sheet.y1 + 1
            assert inside, f"{text.get_text()!r} leaves the figure: {box} in {sheet}"
            assert text.get_fontsize() >= min(SMALL, NARROWEST), text.get_text()
        boxes = [(text.get_text(), box.padded(-0.25 * pixel)) for text, box in texts]
        assert not [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]
        assert abs(figure.get_figwidth() * 2.54 - 8.5) < 0.01  # one column, in centimetres
        return [text.get_text() for text, _ in texts]

    return check
