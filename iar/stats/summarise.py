"""Scores: one row a configuration, benchmark, category and metric, with counts and a 95 % interval."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmark.intervals import interval
from benchmark.scoring import ALL, MEAN_OF_THREE
from iar.stats.coded import Coded, Score, derived

FAMILY = ("family_low", "family_high", "families")
COLUMNS = ["configuration", "benchmark", "category", "metric", "n", "n_scored", "value", "low", "high", *FAMILY]


def summarise(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Count outcomes into scores.

    Args:
        outcomes: One row a configuration, sample, metric and category. Columns: configuration, benchmark, category,
            metric, value (from 0 to 1, NaN = unscored), cluster (what samples share, e.g. the image); optional
            ``weight`` (missing = 1), ``half`` ("image" or "text", VSCBench; missing elsewhere), ``sample`` (its id:
            a sample that is in several categories counts once in "all" and in its half), ``family`` (the coarser group
            that samples are drawn from, such as the object in the picture; "" where there is none).

    Returns:
        Columns configuration, benchmark, category, metric, n, n_scored, value, low, high, family_low, family_high,
        families; shares from 0 to 1. low and high are clustered on ``cluster``: how much another draw of rows or images
        would change. family_low and family_high are clustered on ``family``: how much other objects or harms would.
        NaN where a sample has no family or all are of one; families is how many there are.
        ``category`` is each category, each half, and "all" (samples pooled). The value is the weighted mean of the
        outcomes; those of weight 0 are not counted at all, unscored ones in n alone. Where nothing is left (the
        precision of a model that never says yes) the value is NaN and n_scored 0. Derived:

        * SRA_a = (SRA_s + SRA_u) / 2 wherever a category has both;
        * POPE's accuracy, precision, recall and F1 under category "mean of three": of its splits, if all are there;
        * under benchmark "mean", helpfulness = the mean of POPE's and ScienceQA's accuracy and everyday's share helped,
          of those that were asked, if two were.

        Their intervals are those of `benchmark.intervals.interval` with strata, NaN with n_scored 0 if one part has no
        value. A configuration keeps the place of its first row.

    Raises:
        ValueError: A category is called "all", "mean of three", or as one of its benchmark's halves.
    """
    places = outcomes[[name for name in ("benchmark", "category", "half") if name in outcomes]].drop_duplicates()
    for benchmark, part in places.groupby("benchmark"):  # ScienceQA's categories are called as VSCBench's halves
        halves = set(part["half"].dropna()) if "half" in part else set()
        if reserved := ({ALL, MEAN_OF_THREE} | halves) & set(part["category"]):
            raise ValueError(f"these category names of {benchmark} are reserved: {sorted(reserved)}")
    coded, values = Coded(outcomes), outcomes["value"].to_numpy(dtype=float)
    once = _once(outcomes)
    rows: list[dict[str, object]] = []
    for configuration, own in coded.groups("configuration", coded.rows):
        for category, part in _categories(coded, own, once):
            for score in derived(coded, part, category):
                names = dict(zip(COLUMNS, (configuration, *score[:3]), strict=False))
                rows.append({**names, **_count(coded, values, score)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _count(coded: Coded, outcomes: np.ndarray, score: Score) -> dict[str, float]:
    weight, values = coded.weights[score.rows], outcomes[score.rows]
    scored = (weight > 0) & ~np.isnan(values)
    strata = None if score.strata is None else coded.of(score.strata)[score.rows][scored]
    if strata is not None and len(np.unique(strata)) < score.parts:
        scored &= False
    strata = strata if scored.any() else None
    at = score.rows[scored]
    values, weight = values[scored], weight[scored]
    estimate = interval(values, coded.cluster[at], strata, weight)
    found: dict[str, float] = {"n": int((coded.weights[score.rows] > 0).sum()), "n_scored": estimate.n}
    found |= {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    family = coded.family[at]
    if not len(family) or (family < 0).any() or (family == family[0]).all():
        return found
    wider = interval(values, family, strata, weight)
    return found | dict(zip(FAMILY, (wider.low, wider.high, wider.clusters), strict=True))


def _once(outcomes: pd.DataFrame) -> np.ndarray:
    """(rows,) whether it is the first of its configuration's sample and metric."""
    if "sample" not in outcomes:
        return np.ones(len(outcomes), dtype=bool)
    first: np.ndarray = ~outcomes.duplicated(["configuration", "benchmark", "sample", "metric"]).to_numpy()
    return first


def _categories(coded: Coded, rows: np.ndarray, once: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    single = rows[once[rows]]
    yield ALL, single
    if coded.has("half"):
        yield from coded.groups("half", single)
    yield from coded.groups("category", rows)
