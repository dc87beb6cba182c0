from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.intervals import exact, interval
from iar.stats import clustered, summarise


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
    names = ["configuration", "benchmark", "category", "metric", "n", "n_scored", "value", "low", "high"]
    assert list(table) == [*names, "family_low", "family_high", "families"]
    assert table[["family_low", "family_high", "families"]].isna().all().all()  # none was given
    assert sorted(table["category"]) == ["all", "random"]
    assert (table["value"] == 0.75).all()
    assert tuple(table[["low", "high"]].iloc[0]) == exact(0.75, 4)


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


def test_families_have_an_interval_of_their_own():
    """Sixty pictures of three objects, one of which is refused: sixty clusters, but only three objects."""
    found = rows("x", "vscbench", "SRA_u", [1] * 20 + [0] * 40, half="image")
    for i, row in enumerate(found):
        row["family"] = ("knife", "gun", "bomb")[i // 20]
    row = scores(found).loc["x", "vscbench", "all", "SRA_u"]
    by_object = interval([1] * 20 + [0] * 40, [i // 20 for i in range(60)])
    assert (row["low"], row["high"]) == exact(1 / 3, 60)
    assert (row["family_low"], row["family_high"]) == (by_object.low, by_object.high) and row["families"] == 3
    assert row["family_low"] < 0.01 and row["family_high"] > 0.9
    for missing in ("", "knife"):  # a sample without one; all of one
        for row in found:
            row["family"] = missing if missing else row["family"] * (row["family"] != "gun")
        assert np.isnan(scores(found).loc["x", "vscbench", "all", "SRA_u"]["family_low"])


def test_the_mean_of_both_has_families_too():
    safe = [row | {"family": "ab"[i % 2]} for i, row in enumerate(rows("x", "vscbench", "SRA_s", [1, 0, 1, 1]))]
    unsafe = [row | {"family": "abc"[i % 3]} for i, row in enumerate(rows("x", "vscbench", "SRA_u", [1, 0, 0]))]
    row = scores(safe, unsafe).loc["x", "vscbench", "all", "SRA_a"]
    expected = interval([1, 0, 1, 1, 1, 0, 0], list("abababc"), ["s"] * 4 + ["u"] * 3)
    assert (row["family_low"], row["family_high"], row["families"]) == (expected.low, expected.high, 3)


def test_sra_a_recovers_its_interval_from_those_of_both_shares():
    u, s = [1, 0, 0, 1, 1], [1, 1, 0]
    table = scores(rows("x", "vscbench", "SRA_u", u, half="image"), rows("x", "vscbench", "SRA_s", s, half="image"))
    value = (2 / 3 + 3 / 5) / 2
    (low_s, _), (low_u, _) = exact(2 / 3, 3), exact(3 / 5, 5)
    row = table.loc["x", "vscbench", "all", "SRA_a"]  # no cluster is in both
    assert row["value"] == pytest.approx(value)
    assert row["low"] == pytest.approx(value - np.hypot(2 / 3 - low_s, 3 / 5 - low_u) / 2)


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


def test_a_mean_of_which_one_half_has_no_scored_answer_is_nan():
    table = scores(rows("x", "vscbench", "SRA_u", [np.nan]), rows("x", "vscbench", "SRA_s", [1, 0]))
    row = table.loc["x", "vscbench", "all", "SRA_a"]
    assert np.isnan(row["value"]) and (row["n"], row["n_scored"]) == (3, 0)


def pope(split, *answers):
    """F1, precision and accuracy of (says yes, is yes) answers; None has no verdict."""
    found = []
    for i, (said, true) in enumerate(answers):
        unscored = said is None
        said = bool(true if unscored else said)
        for metric, value, weight in (
            ("F1", said and true, said + true),
            ("precision", said and true, said),
            ("accuracy", said == true, 1),
        ):
            row = {"configuration": "none", "benchmark": "pope", "category": split, "metric": metric, "half": None}
            row |= {"cluster": f"{i}", "sample": f"{split}/{i}", "weight": float(weight)}
            found.append(row | {"value": np.nan if unscored else float(value)})
    return found


TP, FP, FN, TN = (True, True), (True, False), (False, True), (False, False)


def test_weights_make_f1_and_precision():
    table = scores(pope("random", TP, TP, FP, FN, FN, TN, TN, TN, (None, True), (None, False)))
    row = table.loc["none", "pope", "random", "F1"]
    assert row["value"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert (row["n"], row["n_scored"]) == (6, 5)  # rightly answered no: weight 0, not counted
    row = table.loc["none", "pope", "random", "precision"]
    assert (row["value"], row["n_scored"]) == (pytest.approx(2 / 3), 3)
    row = table.loc["none", "pope", "random", "accuracy"]
    assert (row["value"], row["n"], row["n_scored"]) == (5 / 8, 10, 8)


def test_a_model_that_never_says_yes_has_no_precision():
    table = scores(pope("random", FN, TN), pope("popular", TP, TN), pope("adversarial", TP, FP))
    row = table.loc["none", "pope", "random", "precision"]
    assert np.isnan(row["value"]) and (row["n"], row["n_scored"]) == (0, 0)
    assert table.loc[("none", "pope", "all", "precision"), "value"] == pytest.approx(2 / 3)
    row = table.loc["none", "pope", "mean of three", "precision"]  # a mean of two would not be it
    assert np.isnan(row[["value", "low", "high"]].astype(float)).all() and row["n_scored"] == 0


def test_mean_of_three_weighs_the_splits_alike():
    splits = {"random": [TP, TP, TP, TN], "popular": [TP, FP, FN], "adversarial": [TP, FP]}
    table = scores(*(pope(split, *answers) for split, answers in splits.items()))
    row = table.loc["none", "pope", "mean of three", "F1"]
    assert row["value"] == pytest.approx((1 + 2 / 4 + 2 / 3) / 3)
    assert table.loc[("none", "pope", "all", "F1"), "value"] == pytest.approx(10 / 13)
    # photographs 0 to 2, sums of w (v - R) / (3 W): random 0; popular 1, -1/2, -1/2 over 12; adversarial ±2/3 over 9
    sums = [1 / 12 + 2 / 27, -1 / 24 - 2 / 27, -1 / 24]  # photograph 3 has weight 0 alone
    f1 = pd.DataFrame([r for split, answers in splits.items() for r in pope(split, *answers) if r["metric"] == "F1"])
    estimate = clustered(f1["value"], list(f1["cluster"]), list(f1["category"]), f1["weight"])
    assert (estimate.value, estimate.clusters) == (pytest.approx(row["value"]), 3)
    assert estimate.se == pytest.approx(np.sqrt(3 / 2 * np.square(sums).sum()))
    assert table.loc[("none", "pope", "mean of three", "accuracy"), "value"] == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    two = scores(pope("random", TP), pope("popular", TP))
    assert "mean of three" not in two.index.get_level_values("category")


def test_no_weight_given_is_weight_1():
    frame = pd.DataFrame(rows("x", "pope", "accuracy", [1, 1, 1, 0]))
    assert summarise(frame).equals(summarise(frame.assign(weight=[1.0, np.nan, 1.0, np.nan])))


def test_a_sample_in_several_categories_counts_once_in_all():
    values = [1, 0, 0]
    subject, grade = (rows("x", "scienceqa", "accuracy", values, category) for category in ("NAT", "G1-6"))
    frame = pd.DataFrame(subject + grade).assign(sample=["1", "2", "3"] * 2)
    table = summarise(frame).set_index("category")
    assert table["n"].to_dict() == {"all": 3, "NAT": 3, "G1-6": 3}
    assert table.loc["all", "value"] == pytest.approx(1 / 3)


def fixed():
    """Three configurations of 120 samples, unweighted, some unscored."""
    rng = np.random.default_rng(4)
    found = []
    for shift, name in enumerate(("none", "iar-L14-x1.5", "random-L14-x1.5-s1")):
        for i in range(40):
            split = ("random", "popular", "adversarial")[i % 3]
            for benchmark, metric, category, cluster, half in (
                ("vscbench", "SRA_u" if i % 2 else "SRA_s", "drugs" if i % 3 else "hate", i // 4, i >= 25),
                ("pope", "accuracy", split, i // 6, None),
                ("scienceqa", "accuracy", "photo" if i % 2 else "words", i, None),
            ):
                value = float(rng.random() < 0.6 + 0.1 * shift)
                row = {"configuration": name, "benchmark": benchmark, "metric": metric, "category": category}
                row |= {"sample": f"{i}", "cluster": f"{cluster}", "half": half if half is None else f"half{half:d}"}
                found.append(row | {"value": value if rng.random() > 0.05 else np.nan})
    return pd.DataFrame(found)


# Values as version 0.1 wrote them, before there were weights; intervals of now.
# benchmark, category, metric, n, n_scored, value, low, high
UNWEIGHTED = """
vscbench all SRA_s 20 18 0.722222 0.420990 0.923082
vscbench all SRA_u 20 18 0.666667 0.367854 0.890618
vscbench all SRA_a 40 36 0.694444 0.415825 0.891744
pope all accuracy 40 38 0.736842 0.442031 0.928404
scienceqa all accuracy 40 38 0.684211 0.513473 0.824975
mean all helpfulness 80 76 0.710526 0.540185 0.829386
vscbench half0 SRA_s 13 12 0.750000 0.341056 0.970092
vscbench half0 SRA_u 12 11 0.727273 0.281992 0.972451
vscbench half0 SRA_a 25 23 0.738636 0.319946 0.966690
vscbench half1 SRA_u 8 7 0.571429 0.045994 0.983792
vscbench half1 SRA_s 7 6 0.666667 0.054244 0.997147
vscbench half1 SRA_a 15 13 0.619048 0.137359 0.933909
vscbench hate SRA_s 7 5 1.000000 0.478176 1.000000
vscbench hate SRA_u 7 5 0.400000 0.052745 0.853367
vscbench hate SRA_a 14 10 0.700000 0.265461 0.926684
pope random accuracy 14 12 0.583333 0.135529 0.942049
scienceqa words accuracy 20 19 0.789474 0.544347 0.939475
vscbench drugs SRA_u 13 13 0.769231 0.408065 0.964921
vscbench drugs SRA_s 13 13 0.615385 0.270839 0.890069
vscbench drugs SRA_a 26 26 0.692308 0.374446 0.904850
pope popular accuracy 13 13 0.846154 0.431034 0.993759
scienceqa photo accuracy 20 19 0.578947 0.334998 0.797479
pope adversarial accuracy 13 13 0.769231 0.375721 0.972504
"""


def test_unweighted_scores_stay_what_they_were():
    table = summarise(fixed())
    table = table[(table["configuration"] == "iar-L14-x1.5") & (table["category"] != "mean of three")]
    lines = [line.split() for line in UNWEIGHTED.strip().splitlines()]
    assert len(table) == len(lines) == 23
    for row, line in zip(table.itertuples(), lines, strict=True):
        assert [row.benchmark, row.category, row.metric, str(row.n), str(row.n_scored)] == line[:5]
        assert [f"{x:.6f}" for x in (row.value, row.low, row.high)] == line[5:]


def test_reserved_category_names_are_refused():
    with pytest.raises(ValueError, match="reserved"):
        summarise(pd.DataFrame(rows("x", "pope", "accuracy", [1], "all")))
    with pytest.raises(ValueError, match="reserved"):
        summarise(pd.DataFrame(rows("x", "pope", "accuracy", [1], "mean of three")))
