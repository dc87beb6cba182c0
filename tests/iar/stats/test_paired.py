from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.intervals import clustered, exact
from iar.stats import difference, differences, holm, sign_flips


def test_unclustered_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, 50), rng.integers(0, 2, 50)
    result = difference(a, b, list(range(50)))
    reference = stats.ttest_rel(a, b)
    change = a - b - np.mean(a - b)
    df = 1 + np.square(change).sum() ** 2 / (change**4).sum()  # that of the clusters that changed, not 49
    assert 24 < df < 26
    assert result["p"] == pytest.approx(2 * stats.t.sf(abs(reference.statistic), df))
    half = stats.t.ppf(0.975, df) * stats.sem(change)
    assert (result["low"], result["high"]) == pytest.approx((np.mean(a - b) - half, np.mean(a - b) + half))


def test_where_every_other_cluster_changes_it_is_the_paired_t_test():
    a, b = np.tile([1, 0], 20), np.tile([0, 1], 20)
    reference = stats.ttest_rel(np.append(a, 1), np.append(b, 1))
    result = difference(np.append(a, 1), np.append(b, 1), list(range(41)))
    assert result["p"] == pytest.approx(reference.pvalue)
    assert (result["low"], result["high"]) == pytest.approx(tuple(reference.confidence_interval(0.95)), rel=1e-4)


def test_a_difference_that_few_clusters_make_covers_the_truth():
    """Answers that steering changes in some clusters only, of one or five (correlation .3). With G - 1 it does not."""
    rng, least, naive = np.random.default_rng(0), [], []
    for groups in (20, 45, 100, 200):
        for size in (1, 5):
            for up in (0.02, 0.05, 0.1, 0.3):
                chance = rng.beta(up * 7 / 3, (1 - up) * 7 / 3, (2000, groups)) if size > 1 else up
                changed = rng.binomial(size, chance, (2000, groups)) / size
                mean = changed.mean(1)
                squares = np.square(changed - mean[:, None])
                se = np.sqrt(squares.sum(1) / (groups - 1) / groups)
                with np.errstate(invalid="ignore"):
                    df = np.fmin(groups - 1, 1 + squares.sum(1) ** 2 / np.square(squares).sum(1))
                one = difference(changed[7], np.zeros(groups), np.arange(groups))
                if se[7] > 0:  # what is simulated is what is computed
                    assert one["high"] == pytest.approx(min(1.0, mean[7] + stats.t.ppf(0.975, df[7]) * se[7]))
                for found, freedom in ((least, df), (naive, groups - 1)):
                    half = np.where(se > 0, stats.t.ppf(0.975, freedom) * se, exact(0.0, groups)[1])
                    found.append((np.abs(mean - up) <= half).mean())
    assert min(least) >= 0.93 and min(naive) < 0.85 and len(least) == 32


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
    table = differences(frame)
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
    table = differences(pd.DataFrame(rows)).set_index("metric")["difference"]
    assert table["SRA_u"].item() == pytest.approx(0.4)
    assert table["SRA_s"].item() == pytest.approx(-0.1)
    assert table["SRA_a"].item() == pytest.approx(0.15)
    assert table["helpfulness"].item() == pytest.approx(-0.25)


def test_f1_differs_by_the_subtracted_influences():
    # baseline: TP, FN, FP, TN, TP, FN; steered: TP, TP, FP, FP, TP, TP
    baseline, w_b = [1, 0, 0, 0, 1, 0], [2, 1, 1, 0, 2, 1]
    steered, w_a = [1, 1, 0, 0, 1, 1], [2, 2, 1, 1, 2, 2]
    result = difference(steered, baseline, list("aabbcc"), weights=(w_a, w_b))
    f1_a, f1_b = 8 / 10, 4 / 7
    assert result["difference"] == pytest.approx(f1_a - f1_b)
    sums = [
        (2 + 2) * 0.2 / 10 - (2 * 3 / 7 - 4 / 7) / 7,
        -2 * 0.8 / 10 + 4 / 7 / 7,  # the fourth counts for the steered side alone
        (2 + 2) * 0.2 / 10 - (2 * 3 / 7 - 4 / 7) / 7,
    ]
    se = np.sqrt(3 / 2 * np.square(sums).sum())
    assert result["high"] == pytest.approx(f1_a - f1_b + stats.t.ppf(0.975, 2) * se)
    assert result["p"] == pytest.approx(2 * stats.t.sf((f1_a - f1_b) / se, 2))
    assert (result["n"], result["clusters"]) == (6, 3)


def test_equal_weights_are_the_ordinary_difference():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 2, 30), rng.integers(0, 2, 30)
    clusters = [str(i // 3) for i in range(30)]
    change = clustered(a - b, clusters, rare=True)
    result = difference(a, b, clusters, weights=(np.full(30, 2), np.full(30, 2)))
    assert (result["difference"], result["low"], result["high"]) == pytest.approx(
        (change.value, change.low, change.high)
    )


def test_a_side_without_weight_has_no_difference():
    result = difference([1, 0], [1, 0], ["a", "b"], weights=([1, 1], [0, 0]))
    assert result["n"] == 0 and np.isnan([result[k] for k in ("difference", "low", "high", "p")]).all()


def test_paired_f1_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(5)
    image, true = np.repeat(np.arange(60), 6), np.tile([True, False], 180)
    covered = 0
    for _ in range(300):
        ease = rng.beta(4, 2, size=60)[image]
        draw = rng.random(360)  # one draw for both sides: paired
        base = draw < np.where(true, ease, ease / 2)  # TP 1/3, FN 1/6, FP 1/6: F1 = 2/3
        steered = draw < np.where(true, ease, ease / 4)  # FP 1/12: F1 = 8/11
        weights = (steered.astype(int) + true, base.astype(int) + true)
        result = difference(steered & true, base & true, image, weights=weights)
        covered += result["low"] <= 8 / 11 - 2 / 3 <= result["high"]
    assert 0.92 <= covered / 300 <= 0.98


def test_one_question_a_cluster_is_mcnemars_test():
    # one up, five down: 2 · (1 + 6) / 2^6
    result = sign_flips([1, 0, 0, 0, 0, 0, 1, 0], [0, 1, 1, 1, 1, 1, 1, 0], list("abcdefgh"))
    assert result == {"up": 1, "down": 5, "exact_p": pytest.approx(14 / 64), "exact_test": "McNemar"}
    many = sign_flips([1] * 121 + [0] * 59 + [1] * 101, [0] * 121 + [1] * 59 + [1] * 101, range(281))
    assert many["exact_p"] == pytest.approx(stats.binomtest(59, 180).pvalue)
    assert sign_flips([1, 0], [1, 0], "ab")["exact_p"] == 1.0
    assert sign_flips([1, 0], [0, 1], "ab")["exact_p"] == 1.0


def test_sign_flips_of_clusters_by_hand():
    # sums of the clusters: +3, +1, -1, 0; of ±3 ±1 ±1 six of eight are as far from 0 as 3
    steered, baseline = [1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0]
    result = sign_flips(steered, baseline, list("aaabcdd"))
    assert result == {"up": 4, "down": 1, "exact_p": pytest.approx(6 / 8), "exact_test": "sign flips"}


def test_sign_flips_against_all_of_them():
    rng = np.random.default_rng(9)
    for _ in range(20):
        cluster = rng.integers(0, 9, 40)
        steered, baseline = rng.integers(0, 2, 40), (rng.random(40) < 0.3).astype(int)
        sums = np.bincount(cluster, steered - baseline, 9)
        signs = 1 - 2 * ((np.arange(2**9)[:, None] >> np.arange(9)) & 1)
        expected = (np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9).mean()
        assert sign_flips(steered, baseline, cluster)["exact_p"] == pytest.approx(expected)


def test_sign_flips_keep_their_level_on_clusters_where_mcnemar_does_not():
    """Nothing but chance: each cluster of five answers alike, up or down as a whole."""
    rng, found = np.random.default_rng(3), []
    for _ in range(400):
        steered = np.repeat(rng.random(30) < 0.5, 5).astype(int)
        baseline = np.repeat(rng.random(30) < 0.5, 5).astype(int)
        ends = (np.arange(150) // 5, np.arange(150))
        found.append([sign_flips(steered, baseline, cluster)["exact_p"] < 0.05 for cluster in ends])
    clustered_level, naive = np.mean(found, axis=0)
    assert clustered_level <= 0.06 and naive > 0.25


def test_copies_are_no_evidence():
    steered, baseline = [1, 1, 1, 1, 0, 1] * 6, [0, 0, 0, 1, 1, 0] * 6
    assert sign_flips(steered, baseline, range(36))["exact_p"] < 0.002
    assert sign_flips(steered, baseline, list("abcdef") * 6)["exact_p"] > 0.1
    assert difference(steered, baseline, list("abcdef") * 6)["p"] > 0.1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, np.nan, 0.4]) == pytest.approx([0.8, np.nan, 0.8], nan_ok=True)
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0


def test_a_sweep_is_adjusted_per_benchmark_and_metric():
    changed = {"none": 0, "a": 9, "b": 7, "c": 0}
    frame = pd.DataFrame(
        [
            outcome(name, benchmark, str(i), "accuracy", float(i < 10 + change))
            for name, change in changed.items()
            for benchmark in ("pope", "scienceqa")
            for i in range(30)
        ]
    )
    table = differences(frame).set_index(["benchmark", "configuration"])
    for benchmark in ("pope", "scienceqa"):
        found = table.loc[benchmark]
        p = found["p"]
        assert (p["a"] < p["b"] < 0.05) and p["c"] == 1.0
        assert found["p_holm"].to_dict() == pytest.approx({"a": 3 * p["a"], "b": 2 * p["b"], "c": 1.0})
        assert found["significant"].to_dict() == {"a": True, "b": True, "c": False}
        assert found[["up", "down"]].values.tolist() == [[9, 0], [7, 0], [0, 0]]
        assert found["exact_p"].to_dict() == pytest.approx({"a": 2 / 2**9, "b": 2 / 2**7, "c": 1.0})
        assert set(found["exact_test"]) == {"McNemar"}  # each sample is its own cluster here
    assert np.isnan(table.loc[("mean", "a"), "exact_p"])  # a mean of two benchmarks is no pair


def test_a_difference_over_families_stands_beside_that_over_clusters():
    rng = np.random.default_rng(8)
    rows = []
    for name, gain in (("none", 0.0), ("iar", 0.4)):
        for i in range(60):
            moved = gain * (i % 3 == 0)  # steering helps with one object of three
            row = outcome(name, "vscbench", str(i), "SRA_u", float(rng.random() < 0.3 + moved))
            rows.append(row | {"family": ("knife", "gun", "bomb")[i % 3]})
    frame = pd.DataFrame(rows)
    row = differences(frame).iloc[0]
    steered, baseline = (frame[frame["configuration"] == name]["value"].to_numpy() for name in ("iar", "none"))
    over = difference(steered, baseline, list(frame["family"][:60]))
    assert (row["family_low"], row["family_high"], row["family_p"]) == (over["low"], over["high"], over["p"])
    assert row["difference"] == over["difference"] and row["clusters"] == 60
    for other in (frame.drop(columns="family"), frame.assign(family="knife")):
        assert np.isnan(differences(other).iloc[0]["family_p"])


def test_not_answered_yes_is_not_unscored():
    """Precision: a sample that one side answers no counts for the other; one without a verdict counts for neither."""
    rows = []
    answers = {"none": ["yes", "yes", "yes", None, "no"], "iar": ["yes", "no", None, "yes", "no"]}
    truth = ["yes", "no", "yes", "yes", "no"]
    for name, said in answers.items():
        for i, (answer, true) in enumerate(zip(said, truth, strict=True)):
            right = np.nan if answer is None else float(answer == true)
            rows.append(outcome(name, "pope", str(i), "accuracy", right))
            if answer != "no":  # an unscored sample may or may not bring a row: here as if it were right
                rows.append(outcome(name, "pope", str(i), "precision", right))
    weighted = pd.DataFrame(rows)
    zeros = [outcome(n, "pope", str(i), "precision", 0.0) for n, a in answers.items() for i in range(5) if a[i] == "no"]
    weighted = pd.concat([weighted.assign(weight=1.0), pd.DataFrame(zeros).assign(weight=0.0)])
    for frame in (pd.DataFrame(rows), weighted):  # absent and weight 0 are one
        table = differences(frame).set_index("metric")
        row = table.loc["precision"]
        assert (row["difference"], row["n"]) == (1 / 1 - 1 / 2, 2)
        assert np.isnan(row["exact_p"])  # not the same samples on both sides
        assert (table.loc["accuracy", "n"], table.loc["accuracy", "up"], table.loc["accuracy", "down"]) == (3, 1, 0)


def test_mean_of_three_needs_all_three():
    def answers(skip=""):
        return pd.DataFrame(
            [
                outcome(name, "pope", f"{split}/{i}", "accuracy", float(i < 2 + gain * n), f"{i}", split)
                for gain, name in enumerate(("none", "iar"))
                for n, split in enumerate(("random", "popular", "adversarial"))
                for i in range(4 * (n + 1))
                if not (split == skip and name == "iar")
            ]
        )

    table = differences(answers()).set_index("category")["difference"]
    assert table["mean of three"] == pytest.approx((0 + 1 / 8 + 2 / 12) / 3)
    assert table["all"] == pytest.approx(3 / 24)
    row = differences(answers("popular")).set_index("category").loc["mean of three"]
    assert row["n"] == 0 and np.isnan(row["difference"]) and not row["significant"]


# Points and standard errors are those of version 0.1, the degrees of freedom are not.
UNWEIGHTED = """
vscbench SRA_s 18 10 0.166667 -0.189939 0.523272 0.298169
vscbench SRA_u 18 10 0.000000 -0.301070 0.301070 1.000000
vscbench SRA_a 36 10 0.083333 -0.184013 0.350679 0.427818
pope accuracy 37 7 0.270270 0.005724 0.534816 0.047095
scienceqa accuracy 38 38 0.210526 -0.028132 0.449185 0.080532
mean helpfulness 75 45 0.240398 0.087439 0.393358 0.004357
"""


def test_unweighted_differences_stay_what_they_were():
    rng = np.random.default_rng(4)
    rows = []
    for shift, name in enumerate(("none", "iar")):
        for i in range(40):
            for benchmark, metric, cluster in (
                ("vscbench", "SRA_u" if i % 2 else "SRA_s", i // 4),
                ("pope", "accuracy", i // 6),
                ("scienceqa", "accuracy", i),
            ):
                value = float(rng.random() < 0.6 + 0.1 * shift)
                value = value if rng.random() > 0.05 else np.nan
                rows.append(outcome(name, benchmark, str(i), metric, value, f"c{cluster}"))
    table = differences(pd.DataFrame(rows))
    lines = [line.split() for line in UNWEIGHTED.strip().splitlines()]
    assert len(table) == len(lines)
    for row, line in zip(table.itertuples(), lines, strict=True):
        assert [row.benchmark, row.metric, str(row.n), str(row.clusters)] == line[:4]
        assert [f"{x:.6f}" for x in (row.difference, row.low, row.high, row.p)] == line[4:]


def test_two_outcomes_of_one_sample_are_refused():
    twice = pd.DataFrame([outcome("none", "pope", "1", "accuracy", 1.0)] * 2)
    with pytest.raises(ValueError, match="two outcomes"):
        differences(twice)


def test_no_baseline_gives_an_empty_table():
    assert differences(pd.DataFrame([outcome("iar", "pope", "1", "accuracy", 1.0)])).empty


def test_no_common_sample_gives_an_empty_table_with_columns():
    table = differences(pd.DataFrame([outcome("none", "pope", "1", "accuracy", 1.0)]))
    assert table.empty and "p" in table.columns
