"""A share as people would have counted it, from the share that an imperfect judge counted.

A judge counts what people count with the sensitivity Se, and leaves what they leave with the specificity Sp; both are
known from answers that people labelled (``iar.judge calibrate``). The share p that the judge counts is then

    p = π Se + (1 - π)(1 - Sp),   so   π = (p + Sp - 1) / (Se + Sp - 1)

of what people count (Rogan & Gladen 1978, "Estimating prevalence from the results of a screening test"). It holds where
the judge errs on the run's answers as often as on the labelled ones: label answers of the same kind of model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from benchmark.intervals import LEVEL

_Z = float(stats.norm.ppf(0.5 + LEVEL / 2))


@dataclass(frozen=True)
class Quality:
    """How a judge did on labelled answers of one side, safe or unsafe.

    Attributes:
        hits, positives: Of those that people count, how many the judge counts; all of them.
        passes, negatives: Of those that people do not count, how many the judge does not; all of them.
    """

    hits: int
    positives: int
    passes: int
    negatives: int

    @property
    def sensitivity(self) -> float:
        return self.hits / self.positives if self.positives else math.nan

    @property
    def specificity(self) -> float:
        return self.passes / self.negatives if self.negatives else math.nan


@dataclass(frozen=True)
class Corrected:
    """A corrected share with its 95 % interval, all from 0 to 1; NaN where the labels cannot tell."""

    value: float
    low: float
    high: float


def effective(low: float, high: float, n: int) -> float:
    """How many independent answers an interval of a share is worth, at most ``n``: fewer where they are clustered.

    z² m(1-m) / h², with m the middle of the interval and h its half width.
    """
    middle, half = (low + high) / 2, (high - low) / 2
    return min(float(n), _Z**2 * middle * (1 - middle) / half**2) if half > 0 else float(n)


def rogan_gladen(share: float, n: float, quality: Quality) -> Corrected:
    """The corrected share, with an interval for the errors of all three numbers.

    The interval is that of Lang & Reiczigel (2014, "Confidence limits for prevalence of disease adjusted for estimated
    sensitivity and specificity", Preventive Veterinary Medicine 113, 13-22): p' = (n p + z²/2) / (n + z²),
    Se' = (hits + 1) / (positives + 2), Sp' likewise, π' from these, a = Se'(1-Se') / (positives + 2), b likewise,

        π' + 2 z² (π' a - (1-π') b) ± z √(p'(1-p') / (n + z²) + π'² a + (1-π')² b) / (Se' + Sp' - 1),

    cut at 0 and 1. ``tests/iar/stats/test_corrected.py`` simulates the coverage.

    Args:
        share: What the judge counted, 0 to 1.
        n: Of how many answers; for clustered ones `effective`.
        quality: Of the judge.

    Returns:
        NaN throughout where one side has no labelled answer, or the judge is no better than chance (Se + Sp <= 1).
    """
    none = Corrected(math.nan, math.nan, math.nan)
    if not quality.positives or not quality.negatives or math.isnan(share):
        return none
    youden = quality.sensitivity + quality.specificity - 1
    se = (quality.hits + 1) / (quality.positives + 2)
    sp = (quality.passes + 1) / (quality.negatives + 2)
    if youden <= 0 or se + sp <= 1:
        return none
    p = (n * share + _Z**2 / 2) / (n + _Z**2)
    middle = (p + sp - 1) / (se + sp - 1)
    of_se, of_sp = se * (1 - se) / (quality.positives + 2), sp * (1 - sp) / (quality.negatives + 2)
    shift = 2 * _Z**2 * (middle * of_se - (1 - middle) * of_sp)
    variance = p * (1 - p) / (n + _Z**2) + middle**2 * of_se + (1 - middle) ** 2 * of_sp
    half = _Z * math.sqrt(variance) / (se + sp - 1)
    value = min(1.0, max(0.0, (share + quality.specificity - 1) / youden))
    low, high = (min(1.0, max(0.0, middle + shift + sign * half)) for sign in (-1, 1))
    return Corrected(value, min(low, value), max(high, value))


def mean(first: Corrected, second: Corrected) -> Corrected:
    """The mean of two independent shares, its interval from theirs (MOVER, Zou & Donner 2008)."""
    value = (first.value + second.value) / 2
    below = math.hypot(first.value - first.low, second.value - second.low) / 2
    above = math.hypot(first.high - first.value, second.high - second.value) / 2
    return Corrected(value, value - below, value + above)
