"""Outcomes as matrices, one column a configuration: what paired comparisons and the bootstrap work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from iar.stats.coded import weights

KEY = ["benchmark", "metric", "sample"]


@dataclass(frozen=True)
class Wide:
    """Outcomes of the same samples side by side.

    Attributes:
        rows: benchmark, metric, sample, category, cluster, family ("" where there is none) of each row; the index is
            0, 1, ….
        configurations: Names of the columns.
        values: (rows, configurations); NaN where unscored or not there.
        weights: (rows, configurations); NaN where not there.
    """

    rows: pd.DataFrame
    configurations: list[str]
    values: np.ndarray
    weights: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """(rows, configurations): whether the sample has a value in any metric of the benchmark.

        A sample that was scored and has no outcome here does not count here (precision: it was not answered yes); one
        that was not scored might have.
        """
        sample = self.rows.groupby(["benchmark", "sample"], sort=False).ngroup().to_numpy()
        there = ~np.isnan(self.values)
        return np.column_stack([(np.bincount(sample, column) > 0)[sample] for column in there.T])


def wide(outcomes: pd.DataFrame) -> Wide:
    """Arrange outcomes as `iar.stats.summarise.summarise` takes them, with a column ``sample``.

    A sample that is in several categories is taken once, in its first.

    Raises:
        ValueError: A sample has two outcomes of one metric in one category.
    """
    if outcomes.duplicated(["configuration", *KEY, "category"]).any():
        raise ValueError("a sample has two outcomes of one metric")
    frame = outcomes.drop_duplicates(["configuration", *KEY])
    frame = frame if "family" in frame else frame.assign(family="")
    rows = frame.drop_duplicates(KEY)[[*KEY, "category", "cluster", "family"]].reset_index(drop=True)
    row = frame.groupby(KEY, sort=False).ngroup().to_numpy()
    column, names = pd.factorize(frame["configuration"])
    values, weight = np.full((2, len(rows), len(names)), np.nan)
    values[row, column] = frame["value"]
    weight[row, column] = weights(frame)
    return Wide(rows, [str(name) for name in names], values, weight)
