"""95 % intervals of shares, means and ratios whose answers come in clusters (questions on one image, images of a row).

Questions on one image are not independent: on POPE the standard error clustered by image is 1.5 times the naive one.
Shares get Korn & Graubard's interval (`interval`), differences a t interval (`clustered`, `sandwich`).

A score is a weighted mean R = Σ w_i v_i / Σ w_i. With all weights 1 it is a share; F1 = 2 TP / (2 TP + FP + FN) is the
mean of 1 with weight 2 (true positives) and 0 with weight 1 (false positives, false negatives); precision and recall
are shares of a subset. Where the weights depend on the answers the denominator is random too, and what a value adds to
the error is its linearised influence (delta method, Taylor linearisation in survey sampling: Cochran 1977, chapter 6)

    ψ_i = w_i (v_i - R) / Σ w.

Influences of one cluster are summed before they are squared (Liang & Zeger 1986; for evaluations Miller 2024, "Adding
Error Bars to Evals", arXiv 2411.00640): SE² = G/(G-1) Σ_c U_c², U_c = Σ_{i in c} ψ_i, G clusters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

LEVEL = 0.95
Names: TypeAlias = Sequence[object] | np.ndarray
Z = float(special.ndtri(0.5 + LEVEL / 2))  # scipy.stats' own quantiles come with checks that take fifty times as long


@lru_cache(maxsize=4096)
def t_quantile(df: float) -> float:
    """The 97.5 % quantile of Student's t."""
    return float(special.stdtrit(df, 0.5 + LEVEL / 2))


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, in the unit of the values (shares: 0 to 1).

    Attributes:
        value: The mean; NaN without any value that counts.
        low, high: The 95 % interval.
        se: Standard error; NaN where a single cluster gives none.
        n: Number of values with a weight.
        clusters: Number of distinct clusters.
        df: Degrees of freedom of ``se``.
    """

    value: float
    low: float
    high: float
    se: float
    n: int
    clusters: int
    df: float = np.nan


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's (1927) score interval of a share among ``n`` independent answers.

    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n), with z = 1.96. Unlike p ± z·se it stays inside [0, 1] and does
    not shrink to nothing at p = 0 or 1.

    >>> [round(bound, 4) for bound in wilson(0.0, 100)]
    [0.0, 0.037]
    """
    middle = share + Z * Z / (2 * n)
    half = Z * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(0.0, float((middle - half) / (1 + Z * Z / n))), min(1.0, float((middle + half) / (1 + Z * Z / n)))


def exact(share: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Clopper & Pearson's (1934) interval of a share among ``n`` independent answers; ``n`` need not be whole.

    The beta quantiles B(.025; x, n - x + 1) and B(.975; x + 1, n - x), x = share · n: the shares from which as many or
    more (as few or fewer) would come with 2.5 %. It covers the truth at least 95 times in 100 whatever it is, which
    Wilson's does not (9 of 10, truth .99: 90 times), stays inside [0, 1] and does not shrink to nothing at 0 and 1.

    >>> [round(float(bound), 4) for bound in exact(0.0, 100)]
    [0.0, 0.0362]
    """
    hits, misses = np.asarray(share) * n, (1 - np.asarray(share)) * n
    tail = (1 - LEVEL) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(hits < 1e-9, 0.0, special.betaincinv(hits, misses + 1, tail))
        high = np.where(misses < 1e-9, 1.0, special.betaincinv(hits + 1, misses, 1 - tail))
    return low, high


def korn_graubard(hits: ArrayLike, totals: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The interval of a share of clustered answers: Clopper & Pearson's at the effective number of answers.

    Korn & Graubard (1998), "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data": n* = p(1-p)/SE² · (z / t_{G-1})², at most ``n`` before the last factor, which allows
    for few clusters. With few answers that deviate, all of which may be in one cluster by chance, SE² is too small just
    where p is extreme. So n* comes from the answers and one cluster of doubt, of mean weight, half a cluster of zeros
    and half of ones, as Jeffreys' prior adds half an answer of each: p~ = (h + T/2G) / (T + T/G), and SE~² likewise.
    It is never 0, also where all agree. ``tests/benchmark/test_intervals.py`` simulates the coverage: at least 93 % in
    each cell of clusters 10 to 200, sizes 1 to 10, p .5 to .99, intra-cluster correlation 0 to .7.

    Args:
        hits, totals: (..., G) sums of w v and of w in each cluster.
        n: (...) how many answers there are; with unequal weights Kish's (Σ w)² / Σ w².

    Returns:
        low, high: (...).
    """
    hits, totals = np.asarray(hits, dtype=float), np.asarray(totals, dtype=float)
    groups, total = totals.shape[-1], totals.sum(-1)
    share = hits.sum(-1) / total
    doubt, padded = total / groups, total * (1 + 1 / groups)
    centre = (hits.sum(-1) + doubt / 2) / padded
    squares = np.square(hits - centre[..., None] * totals).sum(-1)
    squares += np.square(doubt) * (np.square(centre) + np.square(1 - centre)) / 2
    variance = (groups + 1) / groups * squares / np.square(padded)
    effective = np.minimum(centre * (1 - centre) / variance, n)
    if groups > 1:
        effective *= np.square(Z / t_quantile(groups - 1))
    return exact(share, effective)


def clustered(
    values: ArrayLike,
    clusters: Names,
    strata: Names | None = None,
    weights: ArrayLike | None = None,
    rare: bool = False,
) -> Estimate:
    """Weighted mean, or the mean of the strata's weighted means, each weighing the same, with a robust t interval.

    The interval is R ± t_{G-1} SE, SE as in the module's docstring; with one stratum and no weights that is Miller's
    clustered standard error SE² = (1/n²) Σ_c (Σ_{i in c} (s_i - s̄))² times G/(G-1). With K strata (SRA_a is the mean of
    SRA_s and SRA_u, POPE's headline the mean of three splits) the estimate is Σ_k R_k / K and an influence is
    w_i (v_i - R_k) / (K W_k): strata that share a cluster keep their covariance.

    Args:
        values: (n,) numbers without NaN.
        clusters: (n,) names; equal names belong together.
        strata: (n,) names; None is one stratum.
        weights: (n,) not negative; None is 1 everywhere. A value of weight 0 is as good as absent.
        rare: As `sandwich` takes it.

    Returns:
        The estimate; NaN and n = 0 where the weights of a stratum sum to 0.

    Raises:
        ValueError: The lengths differ, or a weight is negative or NaN.
    """
    numbers, weight, stratum, cluster = _arrays(values, clusters, strata, weights)
    value, influences = linearised(numbers, weight, stratum)
    counted = weight > 0
    return sandwich(value, influences[counted], cluster[counted], rare)


def _arrays(
    values: ArrayLike, clusters: Names, strata: Names | None, weights: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(n,) numbers, weights, and codes of strata and clusters."""
    numbers = np.asarray(values, dtype=float)
    weight = np.ones(len(numbers)) if weights is None else np.asarray(weights, dtype=float)
    if len({len(numbers), len(weight), len(clusters), len(clusters if strata is None else strata)}) > 1:
        raise ValueError("values, clusters, strata and weights differ in length")
    stratum = np.zeros(len(numbers), dtype=int) if strata is None else codes(strata)
    return numbers, weight, stratum, codes(clusters)


def codes(names: Names) -> np.ndarray:
    """Names as integers from 0, without a gap, in the order of their texts; integers in their own order, and faster."""
    if not (isinstance(names, np.ndarray) and names.dtype.kind in "iu"):
        numbered: np.ndarray = pd.factorize(np.array(list(map(str, names)), dtype=object), sort=True)[0]
        return numbered
    if len(names) and int(names.min()) >= 0 and int(names.max()) < 16 * len(names) + 1024:
        there = np.bincount(names) > 0  # counting is faster than sorting
        return names if there.all() else (np.cumsum(there) - 1)[names]
    return np.unique(names, return_inverse=True)[1]


def linearised(values: np.ndarray, weights: np.ndarray, strata: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of the strata's weighted means, and the influence of each value on it: ((), (n,)).

    Args:
        values, weights: (n,) numbers; values of weight 0 may be anything but NaN.
        strata: (n,) integers from 0. A stratum without weight makes everything NaN.
    """
    if not len(values):
        return np.nan, np.zeros(0)
    if not (weights >= 0).all():
        raise ValueError("a weight is negative or NaN")
    totals = np.bincount(strata, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.bincount(strata, weights * values) / totals
        return float(means.mean()), weights * (values - means[strata]) / (len(means) * totals[strata])


def sandwich(value: float, influences: np.ndarray, clusters: np.ndarray, rare: bool = False) -> Estimate:
    """A value with the cluster-robust t interval of its influences; clusters: (n,) integers, in any numbering.

    SE² is only as well known as clusters add to it: where three of a hundred changed, it has the freedom of three.
    ``rare`` allows for that, for differences of shares: not G - 1 but at most 1 + (Σ U²)² / Σ U⁴ degrees of freedom
    (Satterthwaite 1946, and one: without it the interval is too wide).
    """
    return _robust(value, influences, codes(clusters), rare)


def _robust(value: float, influences: np.ndarray, clusters: np.ndarray, rare: bool = False) -> Estimate:
    """`sandwich` for clusters without a gap."""
    n = len(influences)
    if not n or math.isnan(value):
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0, 0)
    sums = np.bincount(clusters, influences)
    groups = len(sums)
    if groups < 2:
        return Estimate(value, np.nan, np.nan, np.nan, n, groups)
    squares = np.square(sums)
    se = float(np.sqrt(groups / (groups - 1) * squares.sum()))
    df = groups - 1.0
    if rare and se > 1e-12:
        df = min(df, 1 + float(squares.sum() ** 2 / np.square(squares).sum()))
    half = t_quantile(df) * se
    return Estimate(value, value - half, value + half, se, n, groups, df)


def interval(
    values: ArrayLike,
    clusters: Names,
    strata: Names | None = None,
    weights: ArrayLike | None = None,
) -> Estimate:
    """Interval of a (weighted) share, of values from 0 to 1, inside [0, 1] and never without a width.

    Clopper & Pearson's (`exact`) if no cluster repeats and all weigh the same, else `korn_graubard`. The mean of
    several strata: from the interval of each, by the method of variance estimates recovery (MOVER; Zou & Donner 2008):

        low = R - √(Σ_kl ρ_kl (R_k - l_k)(R_l - l_l)) / K, high likewise with u_k - R_k,

    ρ_kl the correlation of the strata's errors over their clusters. A negative one is taken for 0, and 1 is taken where
    two strata share clusters and one of them has no spread: rather too wide than too narrow.
    """
    numbers, weight, stratum, cluster = _arrays(values, clusters, strata, weights)
    value, influences = linearised(numbers, weight, stratum)
    counted = weight > 0
    if not counted.all():
        numbers, weight, influences = numbers[counted], weight[counted], influences[counted]
        stratum, cluster = codes(stratum[counted]), codes(cluster[counted])
    estimate = _robust(value, influences, cluster)
    if not estimate.n:
        return estimate
    count = int(stratum.max()) + 1
    if count == 1:
        _, low, high = _share(numbers, weight, cluster)
    else:
        parts = [stratum == k for k in range(count)]
        ends = np.array([_share(numbers[part], weight[part], codes(cluster[part])) for part in parts])
        together = _correlations(numbers, weight, cluster, stratum, ends[:, 0])
        below, above = ends[:, 0] - ends[:, 1], ends[:, 2] - ends[:, 0]
        low, high = (
            estimate.value + sign * np.sqrt(side @ together @ side) / count for sign, side in ((-1, below), (1, above))
        )
    low, high = max(0.0, min(low, estimate.value)), min(1.0, max(high, estimate.value))
    return Estimate(estimate.value, float(low), float(high), estimate.se, estimate.n, estimate.clusters, estimate.df)


def _share(values: np.ndarray, weights: np.ndarray, clusters: np.ndarray) -> tuple[float, float, float]:
    """A weighted mean and its interval; clusters without a gap."""
    hits, totals = np.bincount(clusters, weights * values), np.bincount(clusters, weights)
    share = float(hits.sum() / totals.sum())
    if len(totals) == len(values) and (weights == weights[0]).all():
        return share, *_exact(share, len(values))
    low, high = korn_graubard(hits, totals, np.square(weights.sum()) / np.square(weights).sum())
    return share, float(low), float(high)


@lru_cache(maxsize=1 << 14)
def _exact(share: float, n: int) -> tuple[float, float]:
    """`exact` of one share; many scores of a run are the same."""
    low, high = exact(share, n)
    return float(low), float(high)


def _correlations(
    values: np.ndarray, weights: np.ndarray, clusters: np.ndarray, strata: np.ndarray, means: np.ndarray
) -> np.ndarray:
    """(strata, strata) correlations of the strata's means over clusters, as `interval` takes them."""
    groups, count = int(clusters.max()) + 1, len(means)
    shape = (groups, count)
    sums = np.zeros(shape)
    np.add.at(sums, (clusters, strata), weights * (values - means[strata]))
    there = np.zeros(shape, dtype=bool)
    there[clusters, strata] = True
    product, shared = sums.T @ sums, (there.T.astype(int) @ there) > 0
    spread = np.sqrt(np.outer(product.diagonal(), product.diagonal()))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(spread > 1e-18, np.clip(product / spread, 0, 1), shared.astype(float))
    np.fill_diagonal(found, 1.0)
    return found
