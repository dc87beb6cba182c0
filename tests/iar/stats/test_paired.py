from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from iar.stats import against_baseline, difference


def test_unclustered_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, 50), rng.integers(0, 2, 50)
    result = difference(a, b, list(range(50)))
    reference = stats.ttest_rel(a, b)
    assert result["p"] == pytest.approx(reference.pvalue)
    assert (result["low"], result["high"]) == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_clusters_count_once():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, 30), rng.integers(0, 2, 30)
    once = difference(a, b, list(range(30)))
    twice = difference(np.tile(a, 2), np.tile(b, 2), list(range(30)) * 2)
    assert twice["p"] == pytest.approx(once["p"])
    assert (twice["n"], twice["clusters"]) == (60, 30)


def test_no_change_is_p_one_with_a_width():
    result = difference([1, 0, 1, 1], [1, 0, 1, 1], list("abcd"))
    assert (result["difference"], result["p"]) == (0.0, 1.0)
    assert result["high"] == -result["low"] > 0.3


def test_the_same_change_everywhere_is_the_sign_test():
    result = difference([1] * 5, [0] * 5, list("abcde"))
    assert (result["difference"], result["high"]) == (1.0, 1.0)
    assert result["p"] == pytest.approx(stats.binomtest(5, 5).pvalue)
    assert difference([1, 1], [0, 0], ["a", "a"])["p"] == 1.0  # one image proves nothing


def outcome(configuration, benchmark, sample, metric, value, cluster="", category="c"):
    return dict(
        configuration=configuration, benchmark=benchmark, sample=sample, metric=metric, value=value,
        cluster=cluster or sample, category=category,
    )  # fmt: skip


def test_only_what_both_sides_scored_is_paired():
    frame = pd.DataFrame(
        [outcome("none", "pope", str(i), "accuracy", value) for i, value in enumerate([1, 1, 0, np.nan])]
        + [outcome("iar", "pope", str(i), "accuracy", value) for i, value in enumerate([0, 1, np.nan, 1])]
    )
    table = against_baseline(frame)
    assert table[["configuration", "benchmark", "category", "metric", "n", "difference"]].values.tolist() == [
        ["iar", "pope", "all", "accuracy", 2, -0.5]
    ]


def test_derived_means_are_paired_too():
    rows = []
    for name, gain in (("none", 0), ("iar", 1)):
        rows += [outcome(name, "vscbench", f"u{i}", "SRA_u", float(i < 2 + 4 * gain)) for i in range(10)]
        rows += [outcome(name, "vscbench", f"s{i}", "SRA_s", float(i < 10 - gain)) for i in range(10)]
        rows += [outcome(name, "pope", str(i), "accuracy", 1.0) for i in range(4)]
        rows += [outcome(name, "scienceqa", str(i), "accuracy", float(i < 4 - 2 * gain)) for i in range(4)]
    table = against_baseline(pd.DataFrame(rows)).set_index("metric")["difference"]
    assert table["SRA_u"].item() == pytest.approx(0.4)
    assert table["SRA_s"].item() == pytest.approx(-0.1)
    assert table["SRA_a"].item() == pytest.approx(0.15)
    assert table["helpfulness"].item() == pytest.approx(-0.25)


def test_no_common_sample_gives_an_empty_table_with_columns():
    table = against_baseline(pd.DataFrame([outcome("none", "pope", "1", "accuracy", 1.0)]))
    assert table.empty and "p" in table.columns
