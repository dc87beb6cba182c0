"""Paired differences to the baseline: the same questions, so what is hard for both cancels out."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats

from benchmark.intervals import LEVEL, Names, codes, exact, linearised, sandwich
from iar.stats.coded import Coded, Score, derived
from iar.stats.wide import Wide, wide

NAMES = ["benchmark", "category", "metric"]
FAMILY = ("family_low", "family_high", "family_p")
COLUMNS = [
    *("configuration", *NAMES, "n", "clusters", "difference", "low", "high", "p", "p_holm", "significant"),
    *("up", "down", "exact_p", "exact_test", *FAMILY),
]


def difference(
    steered: ArrayLike,
    baseline: ArrayLike,
    clusters: Names,
    strata: Names | None = None,
    weights: tuple[ArrayLike, ArrayLike] | None = None,
) -> dict[str, float]:
    """Steered minus baseline (weighted) mean over paired outcomes, with a clustered interval and a two-sided p-value.

    Miller (2024), "Adding Error Bars to Evals", paired: d_i = s_A,i - s_B,i; SE of the mean of d clustered as in
    `benchmark.intervals.clustered`; t = mean(d) / SE. Its degrees of freedom are those of the clusters that changed, at
    most G-1 for G clusters (`benchmark.intervals.sandwich`, ``rare``). With G-1 the interval of a difference that few
    clusters make covers down to 84 % in the simulation of ``tests/iar/stats/test_paired.py``, so 93 %. A weighted mean
    may count other samples, or with other weights, on either side (F1, precision): then the influences are subtracted,
    ψ_i = ψ_A,i - ψ_B,i over the union of both sides' samples, with ψ = 0 on a side where the sample weighs nothing.
    With equal weights that is the same as the above.

    Where every ψ is 0 there is no spread to estimate from. No difference at all: p = 1 and the interval is ± the
    Clopper-Pearson bound of 0 changed clusters out of G. The same change everywhere: the sign test, p = 2 · 0.5^G.

    Args:
        steered, baseline: (n,) outcomes of the same questions in the same order, without NaN, within [0, 1].
        clusters, strata: (n,) as in `benchmark.intervals.clustered`.
        weights: The weights of both sides, each (n,); None is 1 everywhere.

    Returns:
        n (samples that weigh something on a side), clusters, difference, low, high, p; NaN and n = 0 where a side has
        nothing to average.
    """
    numbers = [np.asarray(side, dtype=float) for side in (steered, baseline)]
    weight = [np.ones(len(numbers[0]))] * 2 if weights is None else [np.asarray(w, dtype=float) for w in weights]
    stratum = np.zeros(len(numbers[0]), dtype=int) if strata is None else codes(strata)
    (value_a, influence_a), (value_b, influence_b) = (
        linearised(v, w, stratum) for v, w in zip(numbers, weight, strict=True)
    )
    counted = (weight[0] > 0) | (weight[1] > 0)
    estimate = sandwich(value_a - value_b, (influence_a - influence_b)[counted], codes(clusters)[counted], rare=True)
    result: dict[str, float] = {"n": estimate.n, "clusters": estimate.clusters, "difference": estimate.value}
    if not estimate.n:
        return result | {"low": np.nan, "high": np.nan, "p": np.nan}
    if estimate.se > 1e-12:
        p = float(2 * special.stdtr(estimate.df, -abs(estimate.value) / estimate.se))
        return result | {"low": max(-1.0, estimate.low), "high": min(1.0, estimate.high), "p": p}
    width = float(exact(0.0, estimate.clusters)[1])
    p = 1.0 if estimate.value == 0 else min(1.0, 2 * 0.5**estimate.clusters)
    return result | {"low": max(-1.0, estimate.value - width), "high": min(1.0, estimate.value + width), "p": p}


def sign_flips(steered: ArrayLike, baseline: ArrayLike, clusters: Names) -> dict[str, float | str]:
    """Exact test of paired 0/1 outcomes: what if steering only swapped the two answers of some clusters?

    Under the null each cluster's sum of changes D_c is as likely to be -D_c (sign changes of whole clusters; Canay,
    Romano & Shaikh 2017, "Randomization tests under an approximate symmetry assumption"), so

        p = P(|Σ_c ± D_c| >= |Σ_c D_c|), all 2^G signs equally likely,

    counted without drawing any, by convolution. It holds however alike the questions of a cluster are. With one
    question a cluster it is McNemar's (1947) exact test, p = 2 P(X <= min(up, down)), X binomial with up + down trials
    of 1/2; that test takes questions for independent, so on clustered data it is too sure of itself and not given.

    Args:
        steered, baseline: (n,) zeros and ones.
        clusters: (n,) names.

    Returns:
        up (0 at the baseline, 1 steered), down (the reverse), exact_p, exact_test: ``McNemar`` or ``sign flips``.
    """
    change = np.rint(np.asarray(steered, dtype=float) - np.asarray(baseline, dtype=float)).astype(int)
    cluster = codes(clusters)
    sums = np.rint(np.bincount(cluster, change)).astype(int)
    chances = np.ones(1)  # of Σ ± D_c from its least value to its largest
    for size, count in zip(*np.unique(np.abs(sums[sums != 0]), return_counts=True), strict=True):
        spaced = np.zeros(2 * size * count + 1)
        spaced[:: 2 * size] = _fair(int(count))
        chances = np.convolve(chances, spaced)
    reach = np.abs(np.arange(len(chances)) - len(chances) // 2)
    p = min(1.0, float(chances[reach >= abs(int(sums.sum()))].sum()))
    test = "McNemar" if len(sums) == len(change) else "sign flips"
    return {"up": int((change > 0).sum()), "down": int((change < 0).sum()), "exact_p": p, "exact_test": test}


@lru_cache(maxsize=4096)
def _fair(trials: int) -> np.ndarray:
    """The chances of 0, 1, ... heads in so many tosses."""
    return np.asarray(stats.binom.pmf(np.arange(trials + 1), trials, 0.5))


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's (1979) adjusted p-values: below 5 % with at most 5 % risk of any false finding among all of them.

    The k-th smallest of m is multiplied by m - k + 1, capped at 1, and never below a smaller one's. NaN stays NaN and
    is not one of the m. It holds however the comparisons depend on each other (here all share the baseline).

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    adjusted = np.array(p, dtype=float)
    order = np.argsort(adjusted)[: int((~np.isnan(adjusted)).sum())]  # NaN sorts last
    raised = adjusted[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return adjusted


def differences(outcomes: pd.DataFrame, baseline: str = "none") -> pd.DataFrame:
    """Every configuration against the baseline, over all categories of a benchmark, and over POPE's three splits.

    A sample is left out where either side is unscored or was not asked.

    Args:
        outcomes: As `iar.stats.summarise` takes it, with ``sample`` (the sample's id).
        baseline: Name of the configuration that is subtracted.

    Returns:
        configuration, benchmark, category ("all" or "mean of three"), metric, n, clusters, difference, low, high, p as
        `difference` gives them, SRA_a and helpfulness included; p_holm: p adjusted over all configurations of the same
        benchmark, category and metric, and significant: whether that is below 0.05; up, down, exact_p and
        exact_test as `sign_flips` gives them, NaN where outcomes are not 0 or 1, weigh differently on the two sides, or
        are a mean of means; family_low, family_high and family_p: interval and p clustered on the samples' families
        instead, NaN where some have none or all are of one. low, high, exact_p and those of families are for one
        comparison: they are not adjusted.
    """
    table = wide(outcomes)
    rows: list[dict[str, object]] = []
    if baseline in table.configurations:
        base, scored = table.configurations.index(baseline), table.scored
        named = Coded(table.rows)
        scores = [_Indexed(score, named) for score in derived(named)]
        for column, configuration in enumerate(table.configurations):
            if column != base:
                paired = scored[:, column] & scored[:, base]
                for side in (column, base):
                    paired &= np.isnan(table.weights[:, side]) | ~np.isnan(table.values[:, side])
                for score in scores:
                    if result := score.compare(table, column, base, paired):
                        rows.append({"configuration": configuration, **score.names, **result})
    found = pd.DataFrame(rows, columns=COLUMNS)
    if rows:
        found["p_holm"] = found.groupby(NAMES, sort=False)["p"].transform(holm)
    found["significant"] = found["p_holm"] < 1 - LEVEL
    return found


class _Indexed:
    """A score with its clusters and strata as integers, made once for all configurations."""

    def __init__(self, score: Score, named: Coded) -> None:
        self.names = {"benchmark": score.benchmark, "category": score.category, "metric": score.metric}
        self.row = score.rows
        self.cluster = codes(named.cluster[score.rows])
        family = named.family[score.rows]
        self.family = codes(family) if (family >= 0).all() else None
        self.stratum = None if score.strata is None else codes(named.of(score.strata)[score.rows])
        self.parts = score.parts

    def compare(self, table: Wide, column: int, base: int, paired: np.ndarray) -> dict[str, object] | None:
        """The differences' row; None if no sample is paired. ``paired``: (rows,) whether both sides were scored."""
        at = paired[self.row]
        if not at.any():
            return None
        weight = np.nan_to_num(table.weights[self.row[:, None], [column, base]])
        at &= (weight > 0).any(axis=1)
        weight, values = weight[at], np.nan_to_num(table.values[self.row[at][:, None], [column, base]])
        stratum = None if self.stratum is None else self.stratum[at]
        if stratum is not None and len(set(stratum)) < self.parts:
            at, weight, values, stratum = at & False, weight[:0], values[:0], stratum[:0]
        sides, both = (values[:, 0], values[:, 1]), (weight[:, 0], weight[:, 1])
        result: dict[str, object] = dict(difference(*sides, self.cluster[at], stratum, weights=both))
        if self.family is not None and len(np.unique(self.family[at])) > 1:
            wider = difference(*sides, self.family[at], stratum, weights=both)
            result |= {name: wider[name.removeprefix("family_")] for name in FAMILY}
        binary = len(values) and stratum is None and np.isin(values, (0, 1)).all() and np.ptp(weight) == 0
        flips: dict[str, object] = {**sign_flips(values[:, 0], values[:, 1], self.cluster[at])} if binary else {}
        return {**result, **flips}
