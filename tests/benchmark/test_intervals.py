from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.intervals import clustered, exact, interval, korn_graubard, wilson


def test_wilson_against_scipy():
    for hits, n in ((0, 10), (3, 10), (10, 10), (911, 1000)):
        reference = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert wilson(hits / n, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_exact_against_scipy():
    for hits, n in ((0, 10), (3, 10), (10, 10), (911, 1000)):
        reference = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
        assert exact(hits / n, n) == pytest.approx((reference.low, reference.high), abs=1e-12)
    low, high = exact([0.0, 0.5, 1.0], [0.2, 0.2, 0.2])  # a fifth of an answer tells nothing, and is no error
    assert (low < 1e-6).all() and (high > 1 - 1e-6).all()


def test_one_value_a_cluster_is_the_ordinary_t_interval():
    values = np.random.default_rng(0).normal(size=40)
    estimate = clustered(values, list(range(40)))
    assert estimate.se == pytest.approx(stats.sem(values))
    assert (estimate.low, estimate.high) == pytest.approx(stats.t.interval(0.95, 39, values.mean(), stats.sem(values)))


def test_clustered_error_by_hand():
    # mean .5; cluster sums of deviations: a = +1, b = -1, c = 0; SE² = 3/2 · (1 + 1 + 0) / 6²
    estimate = clustered([1, 1, 0, 0, 1, 0], list("aabbcc"))
    assert estimate.value == 0.5
    assert estimate.se == pytest.approx(np.sqrt(1.5 * 2) / 6)
    assert estimate.high == pytest.approx(0.5 + stats.t.ppf(0.975, 2) * np.sqrt(3) / 6)
    assert (estimate.n, estimate.clusters) == (6, 3)


def test_copies_of_an_answer_add_nothing():
    values = [1, 0, 0, 1, 1, 0, 1, 1]
    once = clustered(values, list(range(8)))
    thrice = clustered(values * 3, list(range(8)) * 3)
    assert thrice.se == pytest.approx(once.se)
    assert thrice.n == 24


def test_two_strata_are_the_mean_of_means():
    safe, unsafe = [1, 1, 1, 0], [0, 1]
    both = clustered(safe + unsafe, list("abcdef"), ["s"] * 4 + ["u"] * 2)
    assert both.value == pytest.approx((0.75 + 0.5) / 2)
    variance = 6 / 5 * (sum((x - 0.75) ** 2 for x in safe) / 8**2 + sum((x - 0.5) ** 2 for x in unsafe) / 4**2)
    assert both.se == pytest.approx(np.sqrt(variance))


def test_strata_that_share_clusters_keep_their_covariance():
    # Perfectly opposite halves: the mean of the two never moves.
    shared = clustered([1, 0, 1, 0, 0, 1, 0, 1], list("abcdabcd"), ["s"] * 4 + ["u"] * 4)
    assert (shared.value, shared.se) == (0.5, 0.0)


CLUSTERS = (10, 20, 45, 100, 200)


@pytest.mark.parametrize("size", [1, 2, 5, 10])
def test_the_interval_covers_the_truth_in_at_least_93_of_100(size):
    """480 cells: clusters x size x share x intra-cluster correlation; a cluster has a beta-drawn chance."""
    rng, draws, least = np.random.default_rng(size), 1000, {}
    for share in (0.5, 0.7, 0.9, 0.95, 0.97, 0.99):
        for icc in (0.0, 0.1, 0.3, 0.5, 0.7) if size > 1 else (0.0,):
            alpha, beta = (side * (1 / icc - 1) if icc else 0.0 for side in (share, 1 - share))
            chance = rng.beta(alpha, beta, (draws, max(CLUSTERS))) if icc else share
            every = rng.binomial(size, chance, (draws, max(CLUSTERS)))
            for groups in CLUSTERS:
                hits, n = every[:, :groups], groups * size
                if size == 1:
                    low, high = exact(hits.sum(1) / n, n)
                else:
                    low, high = korn_graubard(hits, np.full_like(hits, size), n)
                assert (high - low > 0.001).all()
                least[groups, share, icc] = ((low <= share) & (share <= high)).mean()
    assert len(least) == (150 if size > 1 else 30)
    assert min(least.values()) >= 0.93, min(least.items(), key=lambda cell: cell[1])


def test_the_cell_that_was_found_wanting():
    """45 clusters of five, share .97, correlation .5: the t interval covers .81 there."""
    rng = np.random.default_rng(0)
    hits = rng.binomial(5, rng.beta(0.97, 0.03, (4000, 45)))
    low, high = korn_graubard(hits, np.full_like(hits, 5), 225)
    covered = ((low <= 0.97) & (high >= 0.97)).mean()
    assert covered >= 0.95
    mean = hits.mean(1) / 5
    half = stats.t.ppf(0.975, 44) * stats.sem(hits / 5, axis=1)
    assert ((mean - half <= 0.97) & (mean + half >= 0.97)).mean() < 0.86


def test_clusters_of_all_sizes():
    rng = np.random.default_rng(4)
    for groups in (20, 60):
        sizes = rng.integers(1, 11, groups)
        for share in (0.6, 0.97):
            hits = rng.binomial(sizes, rng.beta(share, 1 - share, (3000, groups)))  # correlation .5
            low, high = korn_graubard(hits, np.broadcast_to(sizes, hits.shape), sizes.sum())
            assert ((low <= share) & (share <= high)).mean() >= 0.93


def test_interval_is_korn_graubards_by_hand():
    # hits 2, 0, 1 of 2: doubt 2; p~ = (3 + 1) / 8; squares (1, 1, 0) + 4 · (1/4 + 1/4) / 2; variance 4/3 · 3 / 64
    effective = 0.25 / (4 / 3 * 3 / 64) * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 2)) ** 2
    estimate = interval([1, 1, 0, 0, 1, 0], list("aabbcc"))
    assert (estimate.low, estimate.high) == pytest.approx([float(end) for end in exact(0.5, effective)])
    assert (estimate.value, estimate.clusters) == (0.5, 3)


def test_independent_answers_get_the_exact_interval():
    estimate = interval([1, 1, 1, 0], list("abcd"))
    assert (estimate.low, estimate.high) == exact(0.75, 4)


@pytest.mark.parametrize("clusters", [["a"] * 10, [str(i // 2) for i in range(10)]])
def test_unanimous_answers_still_have_a_width(clusters):
    estimate = interval([1.0] * 10, clusters)
    assert estimate.value == estimate.high == 1.0
    groups = len(set(clusters))
    assert estimate.low <= exact(1.0, groups)[0] < 0.5  # all alike within a cluster: no more than one answer each


def test_nothing_scored_is_not_zero():
    estimate = interval([], [])
    assert np.isnan(estimate.value) and estimate.n == 0


# Three photographs: a true and a false positive, a true positive and a miss, a true positive.
F1 = dict(values=[1, 0, 1, 0, 1], clusters=list("aabbc"), weights=[2, 1, 2, 1, 2])


def test_weighted_mean_is_f1_and_its_error_the_linearised_one():
    # F1 = 2·3 / (2·3 + 1 + 1) = 3/4; sums of w (v - R): a = 2/4 - 3/4, b the same, c = 2/4; SE² = 3/2 · Σ² / 8²
    estimate = clustered(**F1)
    assert estimate.value == 0.75
    assert estimate.se == pytest.approx(np.sqrt(1.5 * (0.0625 + 0.0625 + 0.25)) / 8)
    assert (estimate.n, estimate.clusters) == (5, 3)
    inside = interval(**F1)
    assert 0.0 <= inside.low < 0.75 < inside.high <= 1.0


def test_a_weight_is_a_copy_within_the_cluster():
    values, clusters, weights = [1, 0, 0, 1, 1, 0], list("aabbcd"), [3, 1, 2, 1, 2, 1]
    copied = clustered(np.repeat(values, weights), list(np.repeat(clusters, weights)))
    weighted = clustered(values, clusters, weights=weights)
    assert (weighted.value, weighted.se) == pytest.approx((copied.value, copied.se))


def test_weight_0_is_as_good_as_absent():
    assert clustered([1, 0, 1, 0, 1, 1, 0], list("aabbcde"), weights=[2, 1, 2, 1, 2, 0, 0]) == clustered(**F1)


def test_weights_and_strata():
    both = clustered(
        [1, 0, 1, 0], list("abcd"), ["x", "x", "y", "y"], weights=[2, 1, 2, 2]
    )  # (2/3 + 1/2) / 2, each deviation over twice its stratum's weight
    assert both.value == pytest.approx((2 / 3 + 1 / 2) / 2)
    sums = [2 / 3 / 6, -2 / 3 / 6, 1 / 8, -1 / 8]
    assert both.se == pytest.approx(np.sqrt(4 / 3 * np.square(sums).sum()))


def test_a_zero_denominator_is_nan_and_nothing_scored():
    for estimate in (
        interval([1, 0], ["a", "b"], weights=[0, 0]),
        interval([1, 0], ["a", "b"], ["x", "y"], weights=[1, 0]),
        clustered([], [], [], []),
    ):
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all() and estimate.n == 0


def test_one_weight_for_all_is_still_a_share():
    estimate = interval([1, 1, 1, 0], list("abcd"), weights=[2] * 4)
    assert (estimate.low, estimate.high) == exact(0.75, 4)
    assert interval([1, 1, 1, 0], list("abcd"), weights=[2, 1, 1, 1]).low != pytest.approx(exact(0.8, 4)[0])


def test_all_right_with_weights_has_a_width():
    estimate = interval([1, 1, 1], list("abc"), weights=[2, 2, 1])
    assert estimate.low <= exact(1.0, 3)[0] and estimate.high == 1.0


def test_the_mean_of_two_unanimous_strata_has_a_width_on_the_side_that_is_open():
    both = interval([1] * 20 + [0] * 20, list(range(40)), ["s"] * 20 + ["u"] * 20)
    assert both.value == 0.5
    assert both.low == pytest.approx(0.5 - (1 - exact(1.0, 20)[0]) / 2)
    assert both.high == pytest.approx(0.5 + exact(0.0, 20)[1] / 2)


def test_opposite_strata_are_not_taken_for_certain():
    estimate = interval([1, 0] * 10 + [0, 1] * 10, [*range(20)] * 2, ["s"] * 20 + ["u"] * 20)
    assert estimate.se == 0 and estimate.high - estimate.low > 0.2


def test_the_mean_of_two_strata_covers_the_truth():
    """SRA_a on rows of three safe and three unsafe images, SRA_s .97 and SRA_u .6, alike within a row."""
    rng = np.random.default_rng(6)
    row, side = np.repeat(np.arange(40), 6), np.tile(["s", "s", "s", "u", "u", "u"], 40)
    covered = []
    for _ in range(400):
        chances = {"s": rng.beta(0.97, 0.03, 40), "u": rng.beta(0.6, 0.4, 40)}
        values = rng.random(240) < np.where(side == "s", chances["s"][row], chances["u"][row])
        estimate = interval(values, row, side)
        covered.append(estimate.low <= (0.97 + 0.6) / 2 <= estimate.high)
    assert np.mean(covered) >= 0.94


def test_the_mean_of_pope_s_three_splits_covers_the_truth():
    """The F1 of three splits that ask about the same 80 photographs, .97 or so in each."""
    rng, image = np.random.default_rng(7), np.tile(np.repeat(np.arange(80), 6), 3)
    split, true = np.repeat([0, 1, 2], 480), np.tile([True, False], 720)

    def answers(photographs):
        ease = rng.beta(0.97 * 3, 0.03 * 3, photographs)
        return np.where(true, ease[image], 1 - ease[image])

    # P(yes) is .97 of the positives and .03 of the negatives: TP .485, FN .015, FP .015 of all; F1 = .97
    covered = []
    for _ in range(300):
        yes = rng.random(1440) < answers(80)
        estimate = interval(yes & true, image, split, yes.astype(int) + true)
        covered.append(estimate.low <= 0.97 <= estimate.high)
    assert np.mean(covered) >= 0.93


def test_f1_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(2)
    image = np.repeat(np.arange(80), 6)
    true = np.tile([True, False], 240)
    # P(yes) = Beta(4, 2) mean 2/3 on positives, half that on negatives: TP 1/3, FN 1/6, FP 1/6 of all; F1 = 2/3
    covered = 0
    for _ in range(400):
        ease = rng.beta(4, 2, size=80)[image]
        yes = rng.random(480) < np.where(true, ease, ease / 2)
        estimate = interval(yes & true, image, weights=yes.astype(int) + true)
        covered += estimate.low <= 2 / 3 <= estimate.high
    assert covered / 400 >= 0.93


@pytest.mark.parametrize("weight", [-1.0, np.nan])
def test_impossible_weights(weight):
    with pytest.raises(ValueError, match="negative or NaN"):
        clustered([1.0, 0.0], ["a", "b"], weights=[1.0, weight])


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="differ in length"):
        clustered([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="differ in length"):
        clustered([1.0, 0.0], ["a", "b"], weights=[1.0])
