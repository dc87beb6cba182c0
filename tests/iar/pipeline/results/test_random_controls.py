from __future__ import annotations

import pandas as pd
import pytest

from iar.pipeline.results import random_controls
from iar.revision.configuration import Configuration

NONE = Configuration()
REAL = Configuration("iar", (2,), 1.5)
SEEDS = [Configuration("random", (2,), 1.5, seed=seed) for seed in (1, 2, 3)]


def scores(pairs: dict[Configuration, tuple[float, float]]) -> pd.DataFrame:
    """Configuration -> SRA_u, SRA_s."""
    rows = [
        {"configuration": c.name, "benchmark": "vscbench", "category": "all", "metric": metric, "value": value}
        for c, pair in pairs.items()
        for metric, value in zip(("SRA_u", "SRA_s"), pair, strict=True)
    ]
    return pd.DataFrame(rows)


def test_a_push_that_lowers_refusals_is_told_with_its_sign():
    drawn = {SEEDS[0]: (0.2, 0.95), SEEDS[1]: (0.4, 0.9), SEEDS[2]: (0.6, 0.4)}
    found = scores({NONE: (0.5, 0.9), REAL: (0.7, 0.8), **drawn})
    table = random_controls.table(found, [NONE, REAL, *SEEDS]).set_index("metric")
    assert table.loc["SRA_u", ["real", "random", "least", "most", "real_minus_random"]].tolist() == pytest.approx(
        [0.2, -0.1, -0.3, 0.1, 0.3]
    )
    assert table.loc["SRA_s", ["real", "random", "least", "most", "real_minus_random"]].tolist() == pytest.approx(
        [-0.1, -0.15, -0.5, 0.05, 0.05]
    )
    assert random_controls.cells(table.reset_index()) == [
        (REAL.name, "random (3 seeds)", "-10.0 (-30.0 to +10.0)", "+30.0", "-15.0 (-50.0 to +5.0)", "+5.0")
    ]


def test_controls_are_those_that_differ_in_nothing_else():
    other = Configuration("random", (2,), 2.0, seed=1)
    gated = Configuration("gated", (2,), 1.5, threshold=0.4)
    behind = Configuration("gated_random", (2,), 1.5, threshold=0.4, seed=1)
    wrong = Configuration("gated_random", (2,), 1.5, threshold=0.6, seed=1)
    coin = Configuration("random_gate", (2,), 1.5, threshold=0.4, seed=1)
    both = Configuration("calibrated", (2,), 1.5, release=0.4)
    drawn = Configuration("calibrated_random", (2,), 1.5, release=0.4, seed=1)
    apart = Configuration("calibrated_random", (2,), 1.5, release=0.2, seed=1)
    every = [NONE, REAL, SEEDS[0], other, gated, behind, wrong, coin, both, drawn, apart]
    table = random_controls.table(scores({c: (0.5, 0.5) for c in every}), every)
    kinds = table[["configuration", "control", "seeds"]].drop_duplicates().values.tolist()
    assert kinds == [
        [REAL.name, "random", 1],
        [gated.name, "gated_random", 1],
        [gated.name, "random_gate", 1],
        [both.name, "calibrated_random", 1],
    ]


def test_nothing_without_a_baseline_or_a_control():
    assert random_controls.table(scores({REAL: (0.5, 0.5), SEEDS[0]: (0.5, 0.5)}), [REAL, SEEDS[0]]).empty
    assert random_controls.cells(random_controls.table(scores({NONE: (0.5, 0.5)}), [NONE])) == []
