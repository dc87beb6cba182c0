from __future__ import annotations

import math

import pandas as pd
import pytest

from iar.explorer import tables
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.revision.configuration import Configuration
from tests.iar.explorer import runs


def test_configurations_hold_what_the_files_hold(small_run):
    run = FinishedRun.scored(small_run)
    scores = run.scores
    rows = {row["name"]: row for row in tables.configurations(run, tables.headlines(scores))}
    titles = [column.headline.alone for column in tables.headlines(scores)]
    assert list(rows) == runs.NAMES
    assert titles[:4] == ["helpfulness", "SRA_s", "SRA_u", "SRA_u image"] and "ScienceQA" in titles
    keys = ["configuration", "benchmark", "category", "metric"]
    wanted = scores.set_index(keys).loc[("iar-L9-x2", "vscbench", "all", "SRA_u")]
    cell = rows["iar-L9-x2"]["values"][titles.index("SRA_u")]
    assert cell == pytest.approx([wanted["value"], wanted["low"], wanted["high"]], abs=1e-6)
    change = pd.read_csv(small_run / "differences.csv").set_index(keys).loc[("iar-L9-x2", "vscbench", "all", "SRA_u")]
    assert rows["iar-L9-x2"]["changes"][titles.index("SRA_u")] == pytest.approx(
        [change["difference"], change["low"], change["high"], change["p_holm"]], rel=1e-5
    )
    assert rows["none"]["changes"] == [None] * len(titles)
    points = pd.read_csv(small_run / "frontier.csv").set_index("configuration")
    assert {n: (r["pareto"], r["share"]) for n, r in rows.items()} == {
        n: (bool(points["pareto"][n]), pytest.approx(points["front_share"][n], abs=1e-5)) for n in rows
    }


def test_lines():
    found = [
        Configuration(),
        Configuration("iar", (14,), 2.0),
        Configuration("iar", (14,), 1.0),
        Configuration("random", (14,), 1.0, seed=1),
        Configuration("iar", heads=48, strength=10, scale="sigma"),
        Configuration("cot"),
        Configuration("cot+iar", (9, 14), 1.0),
        Configuration("iar", (9,), 4.0, heads=24),
        Configuration("gated", (14,), 2.0),
        Configuration("iar", (14,), 1.0, estimator="random"),
        Configuration("gated_random", (14,), 2.0, seed=1),
    ]
    assert tables.lines(found) == [
        {"name": "layer 14", "control": False, "members": [2, 1]},
        {"name": "48 heads sigma", "control": False, "members": [4]},
        {"name": "layer 9+14, cot", "control": False, "members": [6]},
        {"name": "24 heads of layer 9", "control": False, "members": [7]},
        {"name": "gated layer 14", "control": False, "members": [8]},
        {"name": "random layer 14", "control": True, "members": [3]},
        {"name": "random layer 14 random", "control": True, "members": [9]},
        {"name": "gated random layer 14", "control": True, "members": [10]},
    ]


def test_categories(small_run):
    run = FinishedRun.scored(small_run)
    scores, found = run.scores, run.configurations
    table = tables.categories(scores, found, tables.headlines(scores))
    row = next(i for i, row in enumerate(table["rows"]) if row[:3] == ["vscbench", "violence", "SRA_u"])
    assert table["rows"][row][3] == 3
    assert [values[row] for values in table["values"]] == [0, 1, 1, 1, 1, 0, 0]
    assert not any(category.startswith("topic:") or category == "all" for _, category, _, _ in table["rows"])


@pytest.mark.parametrize(("value", "wanted"), [(0.1234567, 0.123457), (math.nan, None), (math.inf, None), (None, None)])
def test_number(value, wanted):
    assert tables.number(value) == wanted
