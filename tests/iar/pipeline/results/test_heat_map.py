"""The cells of the heat maps from scores.csv and configurations."""

from __future__ import annotations

import pandas as pd
import pytest

from iar.pipeline.results import heat_map
from iar.revision.configuration import Configuration

NONE = Configuration()
STEERED = [Configuration("iar", (layer,), strength) for layer in (14, 9) for strength in (1.0, 2.0)]
RANDOM = [Configuration("random", (14,), 1.0, seed=seed) for seed in (1, 2)]


def scores(configurations):
    rows = []
    for number, configuration in enumerate(configurations):
        values = {("vscbench", "SRA_u"): 0.3 + number / 10, ("pope", "accuracy"): 0.9, ("vscbench", "irrelevant"): 0.0}
        for (benchmark, metric), value in values.items():
            rows.append((configuration.name, benchmark, "all", metric, value))
            rows.append((configuration.name, benchmark, "a category", metric, 0.0))
    return pd.DataFrame(rows, columns=["configuration", "benchmark", "category", "metric", "value"])


def rows(configurations, **more):
    return heat_map.cells(scores(configurations), configurations, **more)


def test_a_cell_is_a_score_beside_the_baselines():
    found, down = rows([NONE, *STEERED, *RANDOM], recommended="iar-L9-x2")
    assert down == "layer" and list(dict.fromkeys(found["panel"])) == ["SRA$_u$", "irrelevant", "POPE"]
    unsafe = found[found["panel"] == "SRA$_u$"].set_index(["row", "strength"])
    assert unsafe["value"].to_dict() == pytest.approx(
        {("14", 1): 0.4, ("14", 2): 0.5, ("9", 1): 0.6, ("9", 2): 0.7, ("random 14", 1): 0.85}
    )
    assert set(unsafe["baseline"]) == {0.3} and unsafe["configurations"].tolist() == [1, 1, 1, 1, 2]
    assert unsafe.index[unsafe["recommended"].astype(bool)].tolist() == [("9", 2)]
    assert unsafe["control"].tolist() == [False] * 4 + [True]
    assert found[found["panel"] == "irrelevant"]["better"].unique().tolist() == [-1]


def test_heads_methods_and_settings_are_named():
    heads = [Configuration("iar", (), k, heads=n) for n in (24, 48) for k in (1.0, 2.0)]
    found, down = rows([NONE, *heads])
    assert down == "heads" and list(dict.fromkeys(found["row"])) == ["24", "48"]
    mixed, down = rows([NONE, STEERED[0], heads[0], Configuration("iar", (14,), 1.0, scale="sigma")])
    assert down == "" and list(dict.fromkeys(mixed["row"])) == ["layer 14 raw", "24 heads raw", "layer 14 sigma"]
    prompted, _ = rows([NONE, STEERED[0], Configuration("cot+iar", (14,), 1.0)])
    assert list(dict.fromkeys(prompted["row"])) == ["14", "14, cot"]


def test_no_two_configurations_share_a_cell():
    many = [NONE, *STEERED, *(Configuration("iar", (14,), k, positions="all") for k in (1.0, 2.0))]
    found, _ = rows(many)
    assert (found["configurations"] == 1).all() and len(found) == 3 * 6


def test_one_point_or_none_is_no_grid():
    for configurations in ([NONE], [NONE, STEERED[0]], [NONE, STEERED[0], *RANDOM]):
        assert not heat_map.worth_drawing(rows(configurations)[0])
    assert heat_map.worth_drawing(rows([NONE, *STEERED[:2]])[0])
