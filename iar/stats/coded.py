"""Outcomes with their names as integers, and which of them each score is made of.

A run of 200,000 answers has a million outcomes and fifty thousand scores: rows that are taken out of arrays by their
places cost a tenth of what a table of each score's rows does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.pope import SPLITS
from benchmark.scoring import ALL, MEAN_OF_METRICS, MEAN_OF_THREE, SPLIT_METRICS
from iar.stats.axes import HELPFUL


class Score(NamedTuple):
    """The outcomes behind one score.

    Attributes:
        benchmark, category, metric: What it is called.
        rows: (n,) places of its outcomes in the table.
        strata: The column whose values are averaged with equal weight; None where there is one stratum.
        parts: How many strata there must be: a mean of three splits is none of two.
    """

    benchmark: str
    category: str
    metric: str
    rows: np.ndarray
    strata: str | None = None
    parts: int = 1


class Coded:
    """A table of outcomes as `iar.stats.summarise.summarise` takes it, its names as integers in their texts' order.

    Attributes:
        cluster: (rows,) codes of the clusters; image 1 of two benchmarks is not one image.
        family: (rows,) codes of the families; -1 where there is none.
        weights: (rows,) 1 where none is given.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._codes: dict[str, np.ndarray] = {}
        self._names: dict[str, list[str]] = {}
        self.rows = np.arange(len(frame))
        (own, benchmarks), (each, clusters) = (_sorted(frame[name]) for name in ("benchmark", "cluster"))
        pair, pairs = pd.factorize(own.astype(np.int64) * max(1, len(clusters)) + each)
        texts = [f"{benchmarks[both // len(clusters)]}/{clusters[both % len(clusters)]}" for both in pairs]
        self.cluster = _ranks(texts)[pair]
        self.family = np.full(len(frame), -1, dtype=np.int32)
        if "family" in frame:
            family, families = _sorted(frame["family"])
            self.family = np.where(np.array([*map(bool, families), False])[family], family, np.int32(-1))
        self.weights = weights(frame)

    def of(self, column: str) -> np.ndarray:
        """(rows,) codes of a column; -1 where it is missing."""
        if column not in self._codes:
            self._codes[column], self._names[column] = _sorted(self._frame[column])
        return self._codes[column]

    def has(self, column: str) -> bool:
        """Whether the table has a column."""
        return column in self._frame

    def names(self, column: str) -> list[str]:
        """The texts of a column's codes."""
        self.of(column)
        return self._names[column]

    def groups(self, column: str, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Each name among these rows in the order of its first, with its rows; without those where it is missing."""
        own, names = self.of(column)[rows], self.names(column)
        for code in pd.unique(own):
            if code >= 0:
                yield names[code], rows[own == code]


def _sorted(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Codes in the order of the texts, and the texts."""
    found, names = pd.factorize(column)
    texts = [str(name) for name in names]
    return np.append(_ranks(texts), np.int32(-1))[found], sorted(texts)


def _ranks(texts: list[str]) -> np.ndarray:
    ranks = np.empty(len(texts), dtype=np.int32)  # half of the memory of a million rows
    ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    return ranks


def weights(frame: pd.DataFrame) -> np.ndarray:
    """The weight of each outcome, 1 where none is given."""
    given = frame["weight"].fillna(1.0) if "weight" in frame else np.ones(len(frame))
    return np.asarray(given, dtype=float)


def derived(coded: Coded, rows: np.ndarray | None = None, category: str = ALL) -> Iterator[Score]:
    """Each metric of each benchmark, then the means of several; those over categories or benchmarks for "all" alone.

    Args:
        rows: Places in the table; None: all.
    """
    rows = coded.rows if rows is None else rows
    found: dict[str, dict[str, np.ndarray]] = {}
    for benchmark, own in coded.groups("benchmark", rows):
        metrics = found[benchmark] = dict(coded.groups("metric", own))
        for metric, part in metrics.items():
            yield Score(benchmark, category, metric, part)
        for mean, two in MEAN_OF_METRICS.items():
            if all(metric in metrics for metric in two):
                pooled = np.concatenate([metrics[metric] for metric in two])
                yield Score(benchmark, category, mean, pooled, "metric", len(two))
        if category == ALL and benchmark == "pope":
            splits = dict(coded.groups("category", own))
            if set(SPLITS) <= set(splits):
                codes = [coded.names("category").index(split) for split in SPLITS]
                for metric in SPLIT_METRICS:
                    if metric in metrics:
                        part = metrics[metric][np.isin(coded.of("category")[metrics[metric]], codes)]
                        yield Score(benchmark, MEAN_OF_THREE, metric, part, "category", len(SPLITS))
    helpful = [found[name][metric] for name, metric in HELPFUL.items() if metric in found.get(name, {})]
    if category == ALL and len(helpful) > 1:
        yield Score("mean", ALL, "helpfulness", np.sort(np.concatenate(helpful)), "benchmark", len(helpful))
