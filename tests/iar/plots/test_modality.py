from __future__ import annotations

import pandas as pd
import pytest

from iar.plots import attention_curves, modality, origin_curves, shift_curves

LABELS = {"search": "relevant image", "figstep": "FigStep", "absent": "never drawn"}


def table(column, along=None):
    rows = [
        {"along": to, "query": query, "mode": mode, "layer": layer, "rows": 7 + (query == "safe"), column: value}
        for to in along or [None]
        for query, sign in (("unsafe", -1), ("safe", 1))
        for mode, size in (("search", 0.5), ("figstep", 2.0))
        for layer, value in enumerate([sign * size * (layer + 1) for layer in range((to or 3) + 1)])
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(low=frame[column] - 0.3, high=frame[column] + 0.3)


def draw_shift(stem, factor=1.0):
    shifts = table("shift")
    return shift_curves({"from text": shifts.assign(shift=factor * shifts["shift"])}, LABELS, stem, "title")


def draw_origin(stem, factor=1.0):
    increments = table("increment", [1, 2])
    return origin_curves(increments.assign(increment=factor * increments["increment"]), LABELS, stem, "title")


def draw_attention(stem, factor=1.0):
    shares = table("share")
    bands = {"correlation": 0.1, "correlation_low": -0.2, "correlation_high": 0.3}
    return attention_curves(shares.assign(share=factor * shares["share"], **bands), LABELS, stem, "title")


@pytest.mark.parametrize("draw", [draw_shift, draw_origin, draw_attention])
def test_drawn_twice_is_the_same_bytes(tmp_path, draw):
    first, again = draw(tmp_path / "a"), draw(tmp_path / "b")
    assert [file.name for file in first] == ["a.png", "a.pdf"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    assert draw(tmp_path / "c", 0.9)[0].read_bytes() != first[0].read_bytes()


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(modality, "save", lambda figure, stem: figures.append(figure) or [])
    return figures


def test_no_text_is_on_another(drawn, check_texts, tmp_path):
    names = ("relevant image", "typography", "image and typography", "FigStep", "image modes' words alone")
    labels = dict(zip(("search", "figstep", "a", "b", "c"), names, strict=True))
    title = "vlguard-7b, VSCBench validation, last prompt token\nalong mms of multi_response pairs (mean), + is safe"
    deep = pd.concat([table("shift").assign(layer=table("shift")["layer"] + 4 * k) for k in range(8)])
    deep = pd.concat([deep, *(deep.assign(mode=mode) for mode in "abc")])
    parts = {"shift from the text query": deep, "shift from the same words alone": deep}
    shift_curves(parts, labels, tmp_path / "a", title)
    origin_curves(table("increment", [9, 14, 19, 24]), labels, tmp_path / "b", f"{title}\nshift from the text query")
    first, second = (check_texts(figure) for figure in drawn)
    assert "shift from the same words alone\n(σ of text)" in first and set(names) <= set(first)
    assert "to layer 24 (σ)" in second


def test_panels_hold_their_own_rows(drawn, tmp_path):
    control = table("shift").query("mode == 'search'").assign(shift=0.25)
    shift_curves({"from text": table("shift"), "from its words": control}, LABELS, tmp_path / "a", "title")
    unsafe, safe, below, _ = drawn[0].axes
    assert [axes.get_title() for axes in drawn[0].axes] == ["unsafe queries (7 rows)", "safe queries (8 rows)", "", ""]
    curves = {line.get_label(): line.get_ydata() for line in unsafe.lines}
    assert curves["FigStep"] == pytest.approx([-2, -4, -6, -8]) and "never drawn" not in curves
    assert safe.lines[0].get_ydata() == pytest.approx([0.5, 1, 1.5, 2])
    assert below.lines[0].get_ydata() == pytest.approx([0.25] * 4)
    assert [axes.get_ylabel() for axes in (unsafe, below)] == ["from text\n(σ of text)", "from its words\n(σ of text)"]


def test_a_row_of_panels_a_direction(drawn, tmp_path):
    origin_curves(table("increment", [1, 2]), LABELS, tmp_path / "a", "title")
    assert [axes.get_ylabel() for axes in drawn[0].axes] == ["to layer 1 (σ)", "", "to layer 2 (σ)", ""]
    assert [len(axes.lines[0].get_xdata()) for axes in drawn[0].axes] == [2, 2, 3, 3]
