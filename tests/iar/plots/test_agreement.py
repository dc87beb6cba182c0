from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from iar.plots import agreement, agreement_matrices

NAMES = ("one", "two", "three")


def cosines(names=NAMES, layers=3):
    rows = [
        {"layer": layer, "a": a, "b": b, "halves": 0.9 if a == b else 0.1 * layer + 0.01 * j}
        for layer in range(layers)
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i <= j
    ]
    return pd.DataFrame(rows)


def curves(layers=3):
    table = pd.DataFrame({"layer": range(layers), "within": 0.9, "between": [0.1 * layer for layer in range(layers)]})
    for name in ("within", "between"):
        table = table.assign(**{f"{name}_low": table[name] - 0.1, f"{name}_high": table[name] + 0.1})
    return table


def test_drawn_twice_is_the_same_bytes(tmp_path):
    first, again = (agreement_matrices(cosines(), curves(), [0, 2], tmp_path / name, "title") for name in "ab")
    assert [file.name for file in first] == ["a.png", "a.pdf"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    other = agreement_matrices(cosines(), curves(), [1, 2], tmp_path / "c", "title")
    assert other[0].read_bytes() != first[0].read_bytes()


def test_matrices_are_symmetric_and_the_last_is_the_mean(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(agreement, "save", lambda figure, stem: drawn.append(figure) or [])
    agreement_matrices(cosines(), curves(), [0, 2], tmp_path / "a", "title")
    top, first, second, mean, _ = drawn[0].axes
    assert [line.get_label() for line in top.lines[:2]] == ["within a category (95 %)", "between categories (95 %)"]
    assert top.lines[1].get_ydata() == pytest.approx([0, 0.1, 0.2])
    assert [axes.get_title() for axes in (first, second, mean)] == ["layer 0", "layer 2", "mean of all layers"]
    expected = np.array([[0.9, 0.21, 0.22], [0.21, 0.9, 0.22], [0.22, 0.22, 0.9]])
    assert np.asarray(second.images[0].get_array()) == pytest.approx(expected)
    assert mean.images[0].get_array()[0, 1] == pytest.approx(0.11)
    assert {text.get_text() for text in mean.texts} == {"0.90", "0.11", "0.12"}
    assert [label.get_text() for label in first.get_yticklabels()] == list(NAMES)


@pytest.mark.parametrize(
    "names", [("txt", "search", "typography", "concat", "figstep"), [f"category_{i}" for i in range(13)]]
)
def test_no_text_is_on_another(tmp_path, monkeypatch, check_texts, names):
    drawn = []
    monkeypatch.setattr(agreement, "save", lambda figure, stem: drawn.append(figure) or [])
    title = "vlguard-7b\nVSCBench validation, safe minus unsafe queries, text half by mode"
    agreement_matrices(cosines(names, 4), curves(4), [0, 1, 2, 3], tmp_path / "a", title)
    assert {"mean of all layers", "layer 3", names[-1]} <= set(check_texts(drawn[0]))


def test_many_categories_have_no_numbers(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(agreement, "save", lambda figure, stem: drawn.append(figure) or [])
    agreement_matrices(cosines([f"c{i}" for i in range(13)]), curves(), [0], tmp_path / "a", "title")
    assert drawn[0].axes[1].images[0].get_array().shape == (13, 13) and not drawn[0].axes[1].texts
