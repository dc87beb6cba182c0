from __future__ import annotations

import pandas as pd
import pytest
from rich.console import Console

from iar.analysis import tables
from iar.analysis.agreement import Agreement


def cells(table):
    return [list(column.cells) for column in table.columns]


def test_separability_with_and_without_heads():
    row = {"layer": 3, "accuracy": 0.9, "low": 0.8, "high": 0.954, "d_prime": 2.345}
    heads = {"best_head": 7, "best_head_accuracy": 0.75, "chance_best": 0.612}
    assert cells(tables.separability(pd.DataFrame([row]), "t")) == [["3"], ["90.0"], ["80 to 95"], ["2.35"]]
    assert cells(tables.separability(pd.DataFrame([row | heads]), "t"))[4:] == [["7: 75.0"], ["61.2"]]


def test_norms_of_the_chosen_layers():
    row = {"vector_norm": 2.0, "token_norm": 40.0, "pooled_norm": 10.0, "strength": 1.5, "sigmas": 1.234}
    frame = pd.DataFrame([row | {"layer": i, "share": 0.075, "pooled_share": 0.3} for i in range(3)])
    assert cells(tables.norms(frame, [2], "t")) == [["2"], ["2"], ["40"], ["10"], ["7.5"], ["30.0"], ["1.23"]]


def test_agreement_names_the_lowest_corrected_cosine():
    layer = {"within": 0.9, "between": 0.5, "gap": 0.4, "gap_low": 0.3, "gap_high": 0.5}
    layers = pd.DataFrame([layer | {"layer": 0}, layer | {"layer": 1}])
    found = [("a", "b", 0.7), ("a", "c", 0.6), ("a", "a", float("nan"))]
    cosines = pd.DataFrame([{"layer": 0, "a": a, "b": b, "corrected": value} for a, b, value in found])
    shown = cells(tables.agreement(Agreement(cosines, layers), [0, 1], "t"))
    assert shown[3] == ["0.40 (0.30 to 0.50)"] * 2
    assert shown[4] == ["0.60 (a, c)", "not measurable"]


@pytest.mark.parametrize("towards", ["safe", ""])
def test_modality_shows_half_the_interval_and_fits(towards):
    row = {"query": "unsafe", "mode": "search", "shift": -1.25, "low": -1.5, "high": -1.0, "towards": towards}
    frame = pd.DataFrame([row | {"layer": layer} for layer in (9, 14, 19, 24)])
    table = tables.modality(frame, {"search": "relevant image", "figstep": "FigStep"}, [9, 14, 19, 24], "t")
    shown = cells(table)
    assert shown[:3] == [["unsafe"], ["relevant image"], [f"-1.25 ± 0.25 {towards}".strip()]] and len(shown) == 6
    assert table.__rich_measure__(Console(width=140), Console(width=140).options).maximum < 140
