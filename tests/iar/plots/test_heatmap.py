"""Heat maps: the numbers in the cells, holes, the outline, and that all can be read."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from iar.errors import UserError
from iar.plots import heat_maps

BASE = {"SRA$_s$": 0.993, "SRA$_u$": 0.31, "SRA$_a$": 0.651, "irrelevant": 0.0, "POPE": 0.991, "ScienceQA": 0.974}
SIX = list(BASE)


def cells(rows=("9", "14", "19", "24"), strengths=(1.0, 1.5, 2.0, 2.5), panels=SIX, random=True):
    found = []
    for panel in panels:
        better = -1 if panel == "irrelevant" else 1
        named = [(row, False) for row in rows] + [("random 14", True)] * random
        for y, (row, control) in enumerate(named):
            for x, strength in enumerate(strengths):
                value = BASE[panel] + better * (0.02 * x - 0.01 * y) * (not control)
                found.append(
                    (panel, better, row, strength, value, BASE[panel], control, (row, strength) == ("19", 2.0))
                )
    columns = ["panel", "better", "row", "strength", "value", "baseline", "control", "recommended"]
    return pd.DataFrame(found, columns=columns)


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(sys.modules["iar.plots.heatmap"], "save", lambda figure, stem: figures.append(figure) or [])
    return figures


def panels(figure):
    return {axes.get_title(loc="left").partition("\n")[0]: axes for axes in figure.axes if axes.images}


def changes(axes):
    return np.ma.filled(np.ma.asarray(axes.images[0].get_array(), dtype=float), np.nan)


def test_cells_hold_changes_and_scores(drawn, tmp_path):
    heat_maps(cells(), tmp_path / "h", "title", down="layer")
    found = panels(drawn[0])
    assert list(found) == SIX
    grid = np.add.outer(-np.arange(5.0), 2 * np.arange(4.0))
    grid[4] = 0  # random, the last row
    assert changes(found["SRA$_u$"]) == pytest.approx(grid)
    assert changes(found["irrelevant"]) == pytest.approx(grid)  # fewer is better
    assert found["SRA$_u$"].get_title(loc="right") == "unsteered 31.0"
    texts = [text.get_text() for text in found["SRA$_u$"].texts]
    assert texts[:4] == ["31.0", "33.0", "35.0", "37.0"] and texts[4] == "30.0" and len(texts) == 20
    assert [label.get_text() for label in found["SRA$_s$"].get_yticklabels()] == ["9", "14", "19", "24", "random 14"]
    assert [label.get_text() for label in found["POPE"].get_xticklabels()] == ["1", "1.5", "2", "2.5"]
    boxes = [patch.get_xy() for patch in found["SRA$_a$"].patches if isinstance(patch, Rectangle)]
    assert boxes == [(1.5, 1.5)]  # strength 2, layer 19
    assert (found["SRA$_s$"].get_ylabel(), found["POPE"].get_xlabel()) == ("layer", "strength")


def test_a_colour_means_the_same_in_every_panel_and_both_ways(drawn, tmp_path):
    heat_maps(cells(), tmp_path / "h")
    norms = [axes.images[0].norm for axes in panels(drawn[0]).values()]
    assert {(norm.vmin, norm.vmax) for norm in norms} == {(-100, 100)}
    assert norms[0](0) == pytest.approx(0.5) and norms[0](-7) == pytest.approx(1 - norms[0](7))


def test_holes_are_hatched_and_have_no_number(drawn, tmp_path):
    whole = cells(random=False)
    heat_maps(whole[(whole["row"] != "14") | (whole["strength"] < 2)], tmp_path / "h")
    axes = panels(drawn[0])["POPE"]
    assert np.isnan(changes(axes)).tolist() == [[False] * 4, [False, False, True, True], [False] * 4, [False] * 4]
    assert axes.patch.get_hatch() and len(axes.texts) == 14


@pytest.mark.parametrize(
    ("rows", "strengths", "random", "numbers"),
    [
        (("9", "14", "19", "24"), (1.0, 1.5, 2.0, 2.5), True, True),
        (("24", "48"), (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0), False, True),
        (("IAR layer 14", "gated layer 14"), (1.0,), True, True),
        (("14",), tuple(k / 4 for k in range(1, 13)), False, True),
        (tuple(map(str, range(20))), tuple(k / 4 for k in range(1, 15)), False, False),
    ],
)
def test_any_grid_can_be_read(drawn, check_texts, tmp_path, rows, strengths, random, numbers):
    heat_maps(cells(rows, strengths, random=random), tmp_path / "h", "pocket-vlm, validation split")
    texts = check_texts(drawn[0])
    assert drawn[0].get_figheight() < 10.5  # a page
    assert len([text for axes in panels(drawn[0]).values() for text in axes.texts]) == numbers * len(
        cells(rows, strengths, random=random)
    )
    assert set(rows) <= set(texts)


def test_one_score_and_no_baseline(drawn, check_texts, tmp_path):
    heat_maps(cells(panels=["POPE"]).assign(baseline=float("nan")), tmp_path / "h")
    axes = panels(drawn[0])["POPE"]
    assert axes.get_title(loc="right") == "" and (changes(axes) == 0).all() and "99.1" in check_texts(drawn[0])


def test_drawn_twice_is_the_same_bytes(tmp_path):
    table = cells(panels=SIX[:2])
    first, again = (heat_maps(table, tmp_path / name, "title") for name in ("a", "b"))
    assert [file.name for file in first] == ["a.png", "a.pdf"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    table.loc[0, "value"] -= 0.1
    assert heat_maps(table, tmp_path / "c", "title")[0].read_bytes() != first[0].read_bytes()


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no heat map to draw"):
        heat_maps(cells().assign(value=float("nan")), tmp_path / "h")
