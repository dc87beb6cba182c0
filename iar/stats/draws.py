"""The clusters of a run's samples drawn anew, and every configuration scored on the same draw.

Cluster bootstrap (Field & Welsh 2007): of the G clusters of a benchmark, G are drawn with replacement, and a score is
Σ w v / Σ w over what was drawn. One draw serves all configurations, so what is hard for all of them cancels out when
they are compared. Benchmarks are drawn independently of each other, and so are the two
axes where one benchmark gives both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.intervals import codes
from iar.stats.axes import Axis, axes_of
from iar.stats.wide import Wide, wide


@dataclass(frozen=True)
class Draws:
    """Helpfulness and safety of every configuration on bootstrap draws.

    Attributes:
        configurations: Their names.
        estimate: (configurations, 2), on the samples as they are: helpfulness, safety; NaN where not scored.
        points: (draws, configurations, 2).
    """

    configurations: list[str]
    estimate: np.ndarray
    points: np.ndarray

    def of(self, configurations: Iterable[str]) -> np.ndarray:
        """(draws, len(configurations), 2), in the order asked for; NaN for a configuration that there is none of."""
        place = {name: index for index, name in enumerate(self.configurations)}
        padded = np.concatenate([self.points, np.full_like(self.points[:, :1], np.nan)], axis=1)
        return padded[:, [place.get(name, -1) for name in configurations]]


def resample(outcomes: pd.DataFrame, safety: str = "SRA_a", draws: int = 1000, seed: int = 0) -> Draws:
    """Draw the clusters anew ``draws`` times, the same for every configuration.

    Args:
        outcomes: As `iar.stats.summarise` takes it, with ``sample`` (the sample's id).
        safety: The safety metric, ``SRA_a`` or ``SRA_u``: `iar.stats.axes`.
        draws: 1000 make the ends of a 95 % interval good to about a tenth of its width.
        seed: The same seed gives the same draws.
    """
    table, random = wide(outcomes), np.random.default_rng(seed)
    axes = axes_of(set(outcomes["benchmark"]), safety)
    points = np.stack([_axis(table, random, axis, draws) for axis in axes], axis=-1)
    return Draws(table.configurations, points[0], points[1:])


def _axis(table: Wide, random: np.random.Generator, axis: Axis, draws: int) -> np.ndarray:
    """(1 + draws, configurations): the mean of the benchmarks, each the mean of its metrics."""
    metrics: dict[str, list[str]] = {}
    for benchmark, metric in axis.parts:
        metrics.setdefault(benchmark, []).append(metric)
    found = [_redraw(table, random, benchmark, own, draws) for benchmark, own in metrics.items()]
    return np.asarray(np.mean(found, axis=0))


def _redraw(table: Wide, random: np.random.Generator, benchmark: str, metrics: list[str], draws: int) -> np.ndarray:
    """(1 + draws, configurations): the mean of the metrics as it is, then in each draw; NaN where it has no weight."""
    at = ((table.rows["benchmark"] == benchmark) & table.rows["metric"].isin(metrics)).to_numpy()
    if not at.any():
        return np.full((1 + draws, len(table.configurations)), np.nan)
    cluster = codes(list(table.rows["cluster"][at]))
    groups = cluster.max() + 1
    times = np.vstack([np.ones(groups), random.multinomial(groups, np.full(groups, 1 / groups), size=draws)])
    means = []
    for metric in metrics:
        chosen = (table.rows["metric"][at] == metric).to_numpy()
        values = table.values[at][chosen]
        weight = np.where(np.isnan(values), 0.0, np.nan_to_num(table.weights[at][chosen]))
        hits, total = (_sum(side, cluster[chosen], groups) for side in (weight * np.nan_to_num(values), weight))
        with np.errstate(divide="ignore", invalid="ignore"):
            means.append((times @ hits) / (times @ total))
    return np.asarray(np.mean(means, axis=0))


def _sum(values: np.ndarray, cluster: np.ndarray, groups: int) -> np.ndarray:
    """Sums over clusters: (n, configurations) -> (groups, configurations)."""
    return np.column_stack([np.bincount(cluster, column, groups) for column in values.T])
