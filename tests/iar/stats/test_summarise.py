from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from iar.stats import clustered, summarise, wilson


def rows(configuration, benchmark, metric, values, category="c", half=None, cluster=None):
    return [
        {
            "configuration": configuration,
            "benchmark": benchmark,
            "category": category,
            "metric": metric,
            "value": float(value),
            "cluster": cluster or f"{category}{metric}{i}",
            "half": half,
        }
        for i, value in enumerate(values)
    ]


def scores(*parts):
    table = summarise(pd.DataFrame([row for part in parts for row in part]))
    return table.set_index(["configuration", "benchmark", "category", "metric"])


def test_columns_and_a_plain_share():
    table = summarise(pd.DataFrame(rows("none", "pope", "accuracy", [1, 1, 1, 0], "random")))
    assert list(table) == ["configuration", "benchmark", "category", "metric", "n", "n_scored", "value", "low", "high"]
    assert sorted(table["category"]) == ["all", "random"]
    assert (table["value"] == 0.75).all()
    assert tuple(table[["low", "high"]].iloc[0]) == wilson(0.75, 4)


def test_unscored_is_neither_right_nor_wrong():
    table = scores(rows("none", "pope", "accuracy", [1, np.nan, 0, np.nan, 1]), rows("none", "pope", "yes", [np.nan]))
    row = table.loc["none", "pope", "all", "accuracy"]
    assert (row["n"], row["n_scored"], row["value"]) == (5, 3, pytest.approx(2 / 3))
    empty = table.loc["none", "pope", "all", "yes"]
    assert (empty["n"], empty["n_scored"]) == (1, 0) and np.isnan(empty["value"])


def test_halves_and_categories_and_the_mean_of_both_shares():
    table = scores(
        rows("x", "vscbench", "SRA_u", [1, 0, 0, 0], "drugs", "image"),
        rows("x", "vscbench", "SRA_s", [1, 1], "drugs", "image"),
        rows("x", "vscbench", "SRA_u", [1, 1], "figstep", "text"),
        rows("x", "vscbench", "SRA_s", [1, 0], "figstep", "text"),
        rows("x", "vscbench", "SRA_u", [1], "only_unsafe", "text"),
    )
    value = table["value"]
    assert value["x", "vscbench", "image", "SRA_u"] == 0.25
    assert value["x", "vscbench", "text", "SRA_u"] == 1.0
    assert value["x", "vscbench", "all", "SRA_u"] == pytest.approx(4 / 7)
    assert value["x", "vscbench", "drugs", "SRA_a"] == pytest.approx((0.25 + 1) / 2)
    assert value["x", "vscbench", "all", "SRA_a"] == pytest.approx((4 / 7 + 3 / 4) / 2)
    assert ("x", "vscbench", "only_unsafe", "SRA_a") not in table.index
    row = table.loc["x", "vscbench", "all", "SRA_a"]
    assert (row["n"], row["n_scored"]) == (11, 11) and row["low"] < row["value"] < row["high"]


def test_sra_a_has_the_delta_method_interval():
    u, s = [1, 0, 0, 1, 1], [1, 1, 0]
    table = scores(rows("x", "vscbench", "SRA_u", u, half="image"), rows("x", "vscbench", "SRA_s", s, half="image"))
    reference = clustered(s + u, list("abcdefgh"), ["s"] * 3 + ["u"] * 5)
    row = table.loc["x", "vscbench", "all", "SRA_a"]
    assert (row["value"], row["low"]) == pytest.approx((reference.value, max(0, reference.low)))


def test_repeated_clusters_widen_the_interval():
    alone = scores(rows("x", "pope", "accuracy", [1, 1, 0, 0] * 10))
    shared = rows("x", "pope", "accuracy", [1, 1, 0, 0] * 10)
    for i, row in enumerate(shared):
        row["cluster"] = str(i // 2)
    wide = scores(shared)
    at = ("x", "pope", "all", "accuracy")
    assert wide.loc[at, "high"] - wide.loc[at, "low"] > 1.3 * (alone.loc[at, "high"] - alone.loc[at, "low"])


def test_helpfulness_weighs_both_benchmarks_alike():
    table = scores(
        rows("a", "pope", "accuracy", [1] * 9 + [0], "random", cluster="1"),
        rows("a", "scienceqa", "accuracy", [1, 0], "natural", cluster="1"),
        rows("b", "pope", "accuracy", [1]),
    )
    assert table.loc[("a", "mean", "all", "helpfulness"), "value"] == pytest.approx((0.9 + 0.5) / 2)
    assert table.loc[("a", "mean", "all", "helpfulness"), "n"] == 12
    assert "b" not in table.xs("helpfulness", level="metric").index.get_level_values("configuration")


def test_no_mean_of_a_half_without_any_scored_answer():
    table = scores(rows("x", "vscbench", "SRA_u", [np.nan]), rows("x", "vscbench", "SRA_s", [1, 0]))
    assert ("x", "vscbench", "all", "SRA_a") not in table.index


def test_reserved_category_names_are_refused():
    with pytest.raises(ValueError, match="reserved"):
        summarise(pd.DataFrame(rows("x", "pope", "accuracy", [1], "all")))
