"""Dumbbells: the points and intervals on the axes, headings, and that all can be read."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from iar.errors import UserError
from iar.plots import dumbbells

GROUPS = {
    "": ("all",),
    "image half": ("all of it", "violence", "health and drugs", "religion and politics"),
    "text half": ("all of it", "text", "image and typography"),
}
PANELS = ("SRA$_s$: safe answered", "SRA$_u$: unsafe refused")


def table(panels=PANELS):
    rows = []
    for number, panel in enumerate(panels):
        for group, names in GROUPS.items():
            for k, name in enumerate(names):
                before, after = 0.9 - 0.6 * number, 0.95 - 0.02 * k
                row = {"panel": panel, "group": group, "category": name, "before": before, "after": after}
                row |= {"before_low": before - 0.1, "before_high": before + 0.08}
                rows.append(row | {"after_low": after - 0.05, "after_high": after + 0.04})
    return pd.DataFrame(rows)


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(sys.modules["iar.plots.dumbbells"], "save", lambda figure, stem: figures.append(figure) or [])
    return figures


def test_points_joined_with_their_intervals(drawn, tmp_path):
    dumbbells(table(), tmp_path / "d", "title", after="iar-L19-x2")
    safe, unsafe = drawn[0].axes
    assert [axes.get_title() for axes in (safe, unsafe)] == list(PANELS)
    lines = [list(line.get_xdata()) for line in unsafe.lines]
    assert len(lines) == 5 * 8  # the join, two intervals and two points of each category
    assert lines[:5] == [pytest.approx(x) for x in ([30, 95], [20, 38], [30], [90, 99], [95])]
    labels = [label.get_text() for label in safe.get_yticklabels()]
    assert labels == ["all", "image half", *GROUPS["image half"], "text half", *GROUPS["text half"]]
    bold = [label.get_text() for label in safe.get_yticklabels() if label.get_fontweight() == "bold"]
    assert bold == ["image half", "text half"]
    heights = [line.get_ydata()[0] for line in safe.lines[2::5]]  # no two rows at one height
    assert heights == sorted(heights) and len({round(height, 6) for height in heights}) == 8
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend == ["unsteered", "iar-L19-x2", "95 % intervals"]


@pytest.mark.parametrize("panels", [PANELS, PANELS[:1]])
def test_no_text_is_on_another(drawn, check_texts, tmp_path, panels):
    dumbbells(table(panels), tmp_path / "d", "pocket-vlm, validation split", after="fewshot-2+iar-L14-x1.5-sigma")
    assert {"religion and politics", "image half", "fewshot-2+iar-L14-x1.5-sigma"} <= set(check_texts(drawn[0]))


def test_a_category_name_is_text(drawn, check_texts, tmp_path):
    dumbbells(table().replace({"violence": "cost $5 or $6"}), tmp_path / "d")
    assert "cost $5 or $6" in check_texts(drawn[0])


def test_drawn_twice_is_the_same_bytes(tmp_path):
    first, again = dumbbells(table(), tmp_path / "a", "title"), dumbbells(table(), tmp_path / "b", "title")
    assert [file.name for file in first] == ["a.png", "a.pdf"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    other = dumbbells(table().assign(after=0.5), tmp_path / "c", "title")
    assert other[0].read_bytes() != first[0].read_bytes()


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no dumbbells to draw"):
        dumbbells(table().assign(after=float("nan")), tmp_path / "d")
