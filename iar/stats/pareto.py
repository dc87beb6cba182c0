"""The safety-helpfulness trade-off: which points no other point beats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from benchmark.scoring import ALL
from iar.revision import methods
from iar.stats.axes import Axes, axes_of, safety_of

if TYPE_CHECKING:
    from iar.revision.configuration import Configuration
    from iar.stats.draws import Draws

POINT_COLUMNS = [
    *("configuration", "method", "prompting", "place", "variant", "strength", "safety", "safety_low", "safety_high"),
    *("helpfulness", "helpfulness_low", "helpfulness_high", "SRA_s", "SRA_u", "pareto"),
    "front_share",
]


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Whether each (x, y) is on the front, both maximised: no other is as good in both and better in one.

    Equal points stand or fall together; a point with NaN is never on the front.

    >>> pareto([(1, 1), (2, 0), (1, 0), (2, 0)])
    [True, True, False, True]
    """
    real = {(x, y) for x, y in points if not (math.isnan(x) or math.isnan(y))}
    front: set[tuple[float, float]] = set()
    best = -math.inf
    for x, y in sorted(real, key=lambda point: (-point[0], -point[1])):
        if y > best:
            front.add((x, y))
            best = y
    return [(x, y) in front for x, y in points]


def hypervolume(points: ArrayLike, reference: ArrayLike = (0.0, 0.0)) -> np.ndarray:
    """The area that points dominate, both coordinates maximised, above and to the right of a reference point.

    Zitzler & Thiele (1998): the union of the rectangles between the reference and each point. One number for a whole
    front: it grows when any point moves outwards, and a dominated point adds nothing. From the right, the staircase is
    Σ (x_i - x_{i+1}) max(y_1 … y_i) over points in falling x.

    Args:
        points: (..., n, 2); a point with NaN, or not beyond the reference in both coordinates, adds nothing.
        reference: (..., 2), broadcast over the fronts.

    Returns:
        (...) areas, in the product of the units (shares: 0 to 1).

    >>> float(hypervolume([(1, 3), (2, 2), (3, 1)]))
    6.0
    """
    beyond = np.asarray(points, dtype=float) - np.asarray(reference, dtype=float)[..., None, :]
    beyond = np.where((beyond > 0).all(axis=-1, keepdims=True), beyond, 0.0)  # NaN is not > 0
    order = np.argsort(-beyond[..., 0], axis=-1)
    x, y = (np.take_along_axis(beyond[..., axis], order, axis=-1) for axis in (0, 1))
    steps = x - np.concatenate([x[..., 1:], np.zeros_like(x[..., :1])], axis=-1)
    return np.asarray((steps * np.maximum.accumulate(y, axis=-1)).sum(axis=-1))


def frontier_points(
    scores: pd.DataFrame,
    configurations: Iterable[Configuration],
    safety: str = "SRA_a",
    draws: Draws | None = None,
    axes: Axes | None = None,
) -> pd.DataFrame:
    """One row a configuration for the frontier figure and the recommendation.

    Which points are on the front is itself uncertain: of many alike, chance picks some. ``front_share`` says how often
    a point is on it when the clusters are drawn anew.

    Args:
        scores: What `iar.stats.summarise` returns (or scores.csv holds).
        configurations: The configurations of the run, in the order of the rows wanted.
        safety: The safety metric, ``SRA_a`` or ``SRA_u``; which benchmarks the axes are of: `iar.stats.axes`.
        draws: The points in each bootstrap draw, from `iar.stats.resample` with the same ``safety``.
        axes: Other scores under the names helpfulness and safety; None: those of `iar.stats.axes`.

    Returns:
        configuration, method, prompting ("fewshot-2", "" for a question asked as it is), place ("L14", "L9+14", "H48"
        for heads, "" where nothing is steered), variant ("sigma-all", "" for the default settings), strength, safety,
        safety_low, safety_high, helpfulness, helpfulness_low, helpfulness_high, SRA_s, SRA_u (shares; NaN where not
        scored), pareto, front_share (share of the draws in which it is on the front; NaN without draws). Random
        directions, whose method is "random" here however they came about, and a gate's controls are not candidates:
        they are never on the front and push nothing off it.
    """
    total = scores[scores["category"] == ALL].set_index(["configuration", "benchmark", "metric"])
    benchmarks = set(scores["benchmark"])
    axes, source = axes or axes_of(benchmarks, safety), safety_of(benchmarks)
    wanted = [(name, axis.benchmark, axis.metric) for name, axis in zip(("helpfulness", "safety"), axes, strict=True)]
    wanted += [(metric, source, metric) for metric in ("SRA_s", "SRA_u")]
    rows = []
    for configuration in configurations:
        row: dict[str, Any] = {"configuration": configuration.name, "strength": configuration.strength}
        row["method"] = configuration.family
        row["prompting"], row["place"] = configuration.said, configuration.place
        row["variant"] = configuration.variant
        for column, benchmark, metric in wanted:
            at = (configuration.name, benchmark, metric)
            found = total.loc[at] if at in total.index else None
            row[column] = math.nan if found is None else float(found["value"])
            if column in ("safety", "helpfulness"):
                row[f"{column}_low"] = math.nan if found is None else float(found["low"])
                row[f"{column}_high"] = math.nan if found is None else float(found["high"])
        rows.append(row)
    points = pd.DataFrame(rows, columns=POINT_COLUMNS)
    candidates = points.index[~points["method"].isin(methods.controls())]
    ways = signed(points.loc[candidates], axes)
    flags = pareto(list(zip(ways["helpfulness"], ways["safety"], strict=True)))
    points["pareto"] = points.index.isin(candidates[flags])
    if draws is not None:
        names = points["configuration"][candidates]
        counts = sum(np.array(pareto([(x, y) for x, y in drawn])) for drawn in draws.of(names).tolist())
        points["front_share"] = 0.0
        points.loc[candidates, "front_share"] = counts / len(draws.points)
    return points


def signed(points: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """The points with both scores better upwards: a score of which less is better with a minus, its ends swapped."""
    found = points.copy()
    for column, axis in zip(("helpfulness", "safety"), axes, strict=True):
        if axis.better < 0:
            ends = {f"{column}_low": f"{column}_high", f"{column}_high": f"{column}_low"}
            found = found.rename(columns=ends)
            turned = [column, *(name for name in ends if name in found)]
            found[turned] = -found[turned]
    return found
