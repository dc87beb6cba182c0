"""Scores: one row a configuration, benchmark, category and metric, with counts and a 95 % interval."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from iar.stats.intervals import interval

ALL = "all"
# Means of two shares, each half weighing the same whatever its number of samples.
SRA_MEANS = {"SRA_a": ("SRA_s", "SRA_u"), "SRA_a_authors": ("SRA_s_authors", "SRA_u")}
HELPFUL = ("pope", "scienceqa")
COLUMNS = ["configuration", "benchmark", "category", "metric", "n", "n_scored", "value", "low", "high"]


def summarise(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Count outcomes into scores.

    Args:
        outcomes: One row a configuration, sample and metric. Columns: configuration, benchmark, category, metric,
            value (0 or 1, NaN = unscored), cluster (what samples share, e.g. the image); optional ``half``
            ("image" or "text", VSCBench; missing elsewhere).

    Returns:
        Columns configuration, benchmark, category, metric, n, n_scored, value, low, high; shares from 0 to 1.
        ``category`` is each category, each half, and "all" (every sample weighs the same). Unscored outcomes count in
        n alone. Derived: SRA_a = (SRA_s + SRA_u) / 2 wherever a category has both, with the delta-method interval of
        `iar.stats.intervals.clustered`; and, under benchmark "mean", helpfulness = the mean of POPE's and ScienceQA's
        accuracy, if both were asked. A configuration keeps the place of its first row.

    Raises:
        ValueError: A category is called "all", or as one of its benchmark's halves.
    """
    for benchmark, part in outcomes.groupby("benchmark"):  # ScienceQA's categories are called as VSCBench's halves
        halves = set(part["half"].dropna()) if "half" in part else set()
        if reserved := ({ALL} | halves) & set(part["category"]):
            raise ValueError(f"these category names of {benchmark} are reserved: {sorted(reserved)}")
    rows: list[dict[str, object]] = []
    for configuration, frame in outcomes.groupby("configuration", sort=False):
        for category, part in _categories(frame):
            for benchmark, metric, chosen, strata in derived(part):
                if benchmark == "mean" and category != ALL:
                    continue
                scored = chosen["value"].notna()
                kept = None if strata is None else [s for s, keep in zip(strata, scored, strict=True) if keep]
                estimate = interval(chosen["value"][scored], list(chosen["cluster"][scored]), kept)
                if strata is not None and len(set(kept or ())) < len(set(strata)):
                    continue  # one half without a single scored answer has no mean
                counts = {"n": len(chosen), "n_scored": estimate.n}
                value = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
                names = {"configuration": configuration, "benchmark": benchmark, "category": category, "metric": metric}
                rows.append(names | counts | value)
    return pd.DataFrame(rows, columns=COLUMNS)


def derived(frame: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame, list[str] | None]]:
    """Each metric of each benchmark with its rows, then the means of two: (benchmark, metric, rows, strata)."""
    for benchmark, part in frame.groupby("benchmark", sort=False):
        metrics = dict(list(part.groupby("metric", sort=False)))
        for metric, rows in metrics.items():
            yield str(benchmark), str(metric), rows, None
        for metric, two in SRA_MEANS.items():
            if all(name in metrics for name in two):
                rows = pd.concat([metrics[name] for name in two])
                yield str(benchmark), metric, rows, list(rows["metric"])
    rows = frame[(frame["metric"] == "accuracy") & frame["benchmark"].isin(HELPFUL)]
    if set(rows["benchmark"]) == set(HELPFUL):
        rows = rows.assign(
            cluster=rows["benchmark"] + "/" + rows["cluster"].astype(str)
        )  # image 1 of both is not one image
        yield "mean", "helpfulness", rows, list(rows["benchmark"])


def _categories(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield ALL, frame
    if "half" in frame:
        for half, part in frame.groupby("half", sort=False):
            yield str(half), part
    for category, part in frame.groupby("category", sort=False):
        yield str(category), part
