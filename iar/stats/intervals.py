"""95 % intervals of shares: Wilson for independent answers, cluster-robust t where answers share an image.

Questions on one image are not independent: on POPE the standard error clustered by image is 1.5 times the naive one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, in the unit of the values (shares: 0 to 1).

    Attributes:
        value: The mean; NaN without any value.
        low, high: The 95 % interval.
        se: Standard error; NaN where a single cluster gives none.
        n: Number of values.
        clusters: Number of distinct clusters.
    """

    value: float
    low: float
    high: float
    se: float
    n: int
    clusters: int


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's (1927) score interval of a share among ``n`` independent answers.

    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n), with z = 1.96. Unlike p ± z·se it stays inside [0, 1] and does
    not shrink to nothing at p = 0 or 1.

    >>> [round(bound, 4) for bound in wilson(0.0, 100)]
    [0.0, 0.037]
    """
    z = stats.norm.ppf(0.5 + LEVEL / 2)
    middle = share + z * z / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float((middle - half) / (1 + z * z / n))), min(1.0, float((middle + half) / (1 + z * z / n)))


def clustered(values: ArrayLike, clusters: Sequence[object], strata: Sequence[object] | None = None) -> Estimate:
    """Mean (of the stratum means, each weighing the same) with a cluster-robust t interval.

    With one stratum this is Miller (2024), "Adding Error Bars to Evals", the clustered standard error
    SE² = (1/n²) Σ_c (Σ_{i in c} (s_ic - s̄))², times the usual small-sample factor G/(G-1) for G clusters; the interval
    is s̄ ± t_{G-1} SE. With K strata (SRA_a is the mean of SRA_s and SRA_u) the estimate is Σ_k s̄_k / K and a value's
    deviation is (s_i - s̄_k) / (K n_k): the delta method, which keeps the covariance of strata that share a cluster.

    Args:
        values: (n,) numbers without NaN.
        clusters: (n,) names; equal names belong together.
        strata: (n,) names; None is one stratum.

    Raises:
        ValueError: The lengths differ.
    """
    numbers = np.asarray(values, dtype=float)
    if len(clusters) != len(numbers) or (strata is not None and len(strata) != len(numbers)):
        raise ValueError("values, clusters and strata differ in length")
    _, cluster = np.unique(np.asarray([str(c) for c in clusters]), return_inverse=True)
    _, stratum = np.unique(
        np.asarray(["" if strata is None else str(s) for s in (strata or clusters)]), return_inverse=True
    )
    if not len(numbers):
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0, 0)
    sizes = np.bincount(stratum)
    means = np.bincount(stratum, numbers) / sizes
    value = float(means.mean())
    sums = np.bincount(cluster, (numbers - means[stratum]) / (len(sizes) * sizes[stratum]))
    groups = len(sums)
    if groups < 2:
        return Estimate(value, np.nan, np.nan, np.nan, len(numbers), groups)
    se = float(np.sqrt(groups / (groups - 1) * np.square(sums).sum()))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, groups - 1)) * se
    return Estimate(value, value - half, value + half, se, len(numbers), groups)


def interval(values: ArrayLike, clusters: Sequence[object], strata: Sequence[object] | None = None) -> Estimate:
    """Interval of a share, of values 0 or 1: Wilson if no cluster repeats, else cluster-robust, inside [0, 1].

    Where the robust interval has no width or none can be had (all answers alike, a single cluster), Wilson's interval
    with the number of clusters as n stands in: unanimous answers are no proof of a share of exactly 0 or 1.
    """
    estimate = clustered(values, clusters, strata)
    if not estimate.n:
        return estimate
    independent = estimate.clusters == estimate.n and strata is None
    if independent or not estimate.se > 1e-12:
        low, high = wilson(estimate.value, estimate.clusters)
        low, high = min(low, estimate.value), max(high, estimate.value)  # rounding at exactly 0 and 1
    else:
        low, high = max(0.0, estimate.low), min(1.0, estimate.high)
    return Estimate(estimate.value, low, high, estimate.se, estimate.n, estimate.clusters)
