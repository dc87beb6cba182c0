"""Paired differences to the baseline: the same questions, so what is hard for both cancels out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from iar.stats.intervals import clustered, wilson
from iar.stats.summarise import ALL, derived

KEYS = ["benchmark", "category", "metric"]


def difference(
    steered: ArrayLike, baseline: ArrayLike, clusters: Sequence[object], strata: Sequence[object] | None = None
) -> dict[str, float]:
    """Mean of ``steered - baseline`` over paired outcomes, with a clustered interval and a two-sided p-value.

    Miller (2024), "Adding Error Bars to Evals", paired: d_i = s_A,i - s_B,i; SE of the mean of d clustered as in
    `iar.stats.intervals.clustered`; t = mean(d) / SE with G-1 degrees of freedom for G clusters.

    Where every d is the same there is no spread to estimate from. No change at all: p = 1 and the interval is
    ± the Wilson bound of 0 changed clusters out of G. The same change everywhere: the sign test, p = 2 · 0.5^G.

    Args:
        steered, baseline: (n,) outcomes of the same questions in the same order, without NaN, within [0, 1].
        clusters, strata: (n,) as in `iar.stats.intervals.clustered`.

    Returns:
        n, clusters, difference, low, high, p (NaN where nothing was paired).
    """
    changes = np.asarray(steered, dtype=float) - np.asarray(baseline, dtype=float)
    estimate = clustered(changes, clusters, strata)
    result = {"n": estimate.n, "clusters": estimate.clusters, "difference": estimate.value}
    if not estimate.n:
        return result | {"low": np.nan, "high": np.nan, "p": np.nan}
    if estimate.se > 1e-12:
        p = float(2 * stats.t.sf(abs(estimate.value) / estimate.se, estimate.clusters - 1))
        return result | {"low": max(-1.0, estimate.low), "high": min(1.0, estimate.high), "p": p}
    width = wilson(0.0, estimate.clusters)[1]
    p = 1.0 if estimate.value == 0 else min(1.0, 2 * 0.5**estimate.clusters)
    return result | {"low": max(-1.0, estimate.value - width), "high": min(1.0, estimate.value + width), "p": p}


def against_baseline(outcomes: pd.DataFrame, baseline: str = "none") -> pd.DataFrame:
    """Every configuration against the baseline, over all categories of a benchmark.

    Args:
        outcomes: As `iar.stats.summarise` takes it, plus ``sample`` (the sample's id): outcomes are paired on
            benchmark, sample and metric, and left out where either side is unscored.
        baseline: Name of the configuration that is subtracted.

    Returns:
        configuration, benchmark, category ("all"), metric, n, clusters, difference, low, high, p; SRA_a and helpfulness
        included. p is for one comparison: a sweep makes many, so a small p of the best point alone proves little.
    """
    scored = outcomes.dropna(subset=["value"])
    base = (
        scored[scored["configuration"] == baseline].set_index(["benchmark", "sample", "metric"])["value"].rename("base")
    )
    if base.index.has_duplicates:
        raise ValueError("a sample has two outcomes of one metric in the baseline")
    rows: list[dict[str, object]] = []
    for configuration, frame in scored[scored["configuration"] != baseline].groupby("configuration", sort=False):
        paired = frame.join(base, on=["benchmark", "sample", "metric"], how="inner")
        for benchmark, metric, part, strata in derived(paired):
            result = difference(part["value"], part["base"], list(part["cluster"]), strata)
            rows.append(
                {"configuration": configuration, "benchmark": benchmark, "category": ALL, "metric": metric, **result}
            )
    columns = ["configuration", *KEYS, "n", "clusters", "difference", "low", "high", "p"]
    return pd.DataFrame(rows, columns=columns)
