"""The table by method against numbers set by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import best_by_method
from iar.revision.configuration import Configuration

COLUMNS = ["configuration", "method", "place", "strength", "safety", "helpfulness", "SRA_s", "SRA_u", "pareto"]
POINTS = pd.DataFrame(
    [
        ("none", "none", "", 0.0, 0.65, 0.98, 0.99, 0.31, True),
        ("iar-L9-x1", "iar", "L9", 1.0, 0.80, 0.98, 0.98, 0.62, True),
        ("iar-L9-x2", "iar", "L9", 2.0, 0.95, 0.90, 0.97, 0.93, True),  # loses too much helpfulness
        ("gated-L9-x1", "gated", "L9", 1.0, 0.90, 0.97, 0.98, 0.82, True),
        ("random-L9-x1-s1", "random", "L9", 1.0, 0.66, 0.98, 0.99, 0.33, False),
        ("random-L9-x1-s2", "random", "L9", 1.0, 0.67, 0.98, 0.99, 0.35, False),
    ],
    columns=COLUMNS,
)
AREAS = pd.DataFrame(
    [
        ("none", "", 0.64, 0.59, 0.69),
        ("iar, layer level", "", 0.87, 0.84, 0.9),
        ("gated, layer level", "", 0.88, 0.85, 0.91),
        ("random, layer level", "", float("nan"), float("nan"), float("nan")),
        ("iar, layer level", "none", 0.23, 0.18, 0.27),
        ("gated, layer level", "none", -1e-16, -0.01, 0.01),
        ("gated, layer level", "iar, layer level", 0.01, 0.0, 0.02),
    ],
    columns=["group", "against", "hypervolume", "low", "high"],
)


CHOSEN = {"none": "none", "iar, layer level": "iar-L9-x1", "gated, layer level": "gated-L9-x1"}
CONFIGURATIONS = [
    Configuration(),
    *(Configuration("iar", (9,), strength) for strength in (1.0, 2.0)),
    Configuration("gated", (9,), 1.0),
    *(Configuration("random", (9,), 1.0, seed=seed) for seed in (1, 2)),
]


def run(points: pd.DataFrame = POINTS, split: str = "validation") -> FinishedRun:
    """A run with these scores."""
    places = {"safety": ("vscbench", "SRA_a"), "SRA_s": ("vscbench", "SRA_s"), "helpfulness": ("mean", "helpfulness")}
    rows = [
        (row["configuration"], benchmark, "all", metric, row[column])
        for row in points.to_dict("records")
        for column, (benchmark, metric) in places.items()
    ]
    scores = pd.DataFrame(rows, columns=["configuration", "benchmark", "category", "metric", "value"])
    return cast("FinishedRun", SimpleNamespace(scores=scores, configurations=CONFIGURATIONS, split=split))


def test_each_method_with_its_best_and_its_hypervolume():
    assert best_by_method.best(run(), POINTS) == {**CHOSEN, "random, layer level": "random-L9-x1-s2"}
    found = best_by_method.table(POINTS, AREAS, CHOSEN).set_index("method")
    assert list(found.index) == ["none", "iar, layer level", "gated, layer level"]
    iar = found.loc["iar, layer level"]
    assert (iar["configurations"], iar["best"]) == (2, "iar-L9-x1")
    numbers = iar[["SRA_s", "SRA_u", "SRA_a", "helpfulness", "hypervolume", "over_hypervolume", "over_high"]]
    assert numbers.tolist() == pytest.approx([0.98, 0.62, 0.8, 0.98, 0.87, 0.23, 0.27])
    assert found["best"]["none"] == "none" and pd.isna(found["over_low"]["none"])


def test_nothing_is_chosen_on_the_test_split():
    chosen = best_by_method.best(run(split="test"), POINTS)
    assert chosen == {**CHOSEN, "iar, layer level": "", "random, layer level": ""}
    found = best_by_method.table(POINTS, AREAS, chosen).set_index("method")
    assert pd.isna(found["SRA_a"]["iar, layer level"])


def test_a_method_that_is_never_better_has_no_best():
    worse = POINTS.assign(helpfulness=POINTS["helpfulness"].where(POINTS["method"] != "iar", 0.5))
    assert best_by_method.best(run(worse), worse)["iar, layer level"] == "none"


def test_files(tmp_path):
    files = best_by_method.write(tmp_path, best_by_method.table(POINTS, AREAS, CHOSEN))
    assert [file.name for file in files] == ["by_method.csv", "by_method.md", "by_method.tex"]
    lines = files[1].read_text().splitlines()
    assert lines[3] == "| IAR | 2 | iar-L9-x1 | 98.0 | 62.0 | 80.0 | 98.0 | 87.0 [84.0, 90.0] | +23.0 [18.0, 27.0] |"
    assert lines[4].endswith("| 88.0 [85.0, 91.0] | +0.0 [-1.0, 1.0] |") and lines[2].endswith("| – |")
    text = files[2].read_text()
    assert r"IAR & 2 & iar-L9-x1 & 98.0 & 62.0 & 80.0 & 98.0 & 87.0 [84.0, 90.0] & +23.0 [18.0, 27.0] \\" in text
    assert len(pd.read_csv(files[0])) == 3 and sorted(p.suffix for p in tmp_path.iterdir()) == [".csv", ".md", ".tex"]
