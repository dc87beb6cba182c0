from __future__ import annotations

import pandas as pd
import pytest

from iar.pipeline.evaluation.confirm import chosen
from iar.revision import Configuration

NONE = Configuration()
LAYER = [Configuration("iar", (2,), s) for s in (1.0, 2.0, 3.0)]
HEADS = [Configuration("iar", (), s, heads=4) for s in (1.0, 2.0)]
RANDOM = [Configuration("iar", (2,), s, estimator="random") for s in (1.0, 2.0)]
CONTROLS = [Configuration("random", (2,), s, seed=seed) for s in (1.0, 2.0) for seed in (1, 2)]
ALL = [NONE, *LAYER, *HEADS, *RANDOM, *CONTROLS]
# safety, SRA_s; helpfulness is the same everywhere
VALUES = {
    NONE: (0.60, 0.98),
    LAYER[0]: (0.70, 0.97),
    LAYER[1]: (0.80, 0.95),
    LAYER[2]: (0.90, 0.70),  # safest, but it refuses too much
    HEADS[0]: (0.75, 0.80),  # neither keeps SRA_s: the safer one stands for the line
    HEADS[1]: (0.85, 0.60),
    RANDOM[0]: (0.65, 0.98),
    RANDOM[1]: (0.64, 0.98),
    **dict.fromkeys(CONTROLS, (0.99, 0.99)),
}


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = []
    for configuration, (safety, sra_s) in VALUES.items():
        found = (("vscbench", "SRA_a", safety), ("vscbench", "SRA_s", sra_s), ("mean", "helpfulness", 0.9))
        for benchmark, metric, value in found:
            row = {"configuration": configuration.name, "benchmark": benchmark, "category": "all", "metric": metric}
            rows.append(row | {"value": value, "low": value, "high": value})
    return pd.DataFrame(rows)


def test_the_recommended_point_and_the_baseline(scores: pd.DataFrame) -> None:
    assert chosen(True, scores, ALL) == [NONE, LAYER[1]]


def test_the_best_of_each_line_with_its_controls(scores: pd.DataFrame) -> None:
    assert chosen("each", scores, ALL) == [NONE, LAYER[1], HEADS[1], RANDOM[0], *CONTROLS[2:]]


def test_what_is_prompted_alone_is_a_line_of_its_own_and_so_is_what_is_steered_under_it(scores: pd.DataFrame) -> None:
    said = [Configuration("cot"), *(Configuration("cot+iar", (2,), s) for s in (1.0, 2.0))]
    controls = [Configuration("cot+random", (2,), s, seed=1) for s in (1.0, 2.0)]
    again = [
        scores[scores["configuration"] == base.name].assign(configuration=c.name)
        for c, base in zip([*said, *controls], [LAYER[0], LAYER[1], LAYER[0], *CONTROLS[:2]], strict=True)
    ]
    found = chosen("each", pd.concat([scores, *again]), [*ALL, *said, *controls])
    assert found == [NONE, LAYER[1], HEADS[1], RANDOM[0], *CONTROLS[2:], said[0], said[1], controls[0]]


def test_nothing_to_confirm(scores: pd.DataFrame) -> None:
    assert chosen(False, scores, ALL) == []
    assert chosen(True, scores, [NONE, HEADS[0]]) == []  # the baseline itself is recommended
