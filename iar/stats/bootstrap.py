"""How sure a front is, and the area below it: hypervolumes on bootstrap draws (`iar.stats.draws`)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.intervals import LEVEL
from iar.stats.draws import Draws
from iar.stats.pareto import hypervolume

COLUMNS = ["group", "against", "hypervolume", "low", "high", "optimism"]


def hypervolumes(
    draws: Draws,
    groups: Mapping[str, str],
    reference: tuple[float, float] | Literal["baseline"] = (0.0, 0.0),
    baseline: str = "none",
) -> pd.DataFrame:
    """The hypervolume of each group of configurations, and the difference of each two groups, with 95 % intervals.

    The baseline belongs to every group, as not steering is always possible; so the hypervolume of the baseline's own
    group (helpfulness times safety) subtracted from a method's is the area that the method adds.

    A hypervolume is a maximum over noisy points and so too large, the more so the more points there are: of two equally
    good methods the one with more configurations looks better. The bootstrap sees that: its draws are larger than the
    estimate by about as much as the estimate is than the truth (``optimism``). The interval therefore is the basic one,
    2 V - (97.5 %, 2.5 % quantile of the draws) (Davison & Hinkley 1997, 5.2), which takes the optimism out, and may lie
    below V as a whole; with many configurations it still holds the truth in fewer than 95 of 100 cases. Compare methods
    on grids of one size, or on the test split.

    Args:
        draws: As from `resample`.
        groups: Configuration -> its group, e.g. the ``method`` column of `iar.stats.frontier_points`; others are left
            out.
        reference: (helpfulness, safety) of the corner that areas are measured from, in shares: (0, 0) counts all.
            ``baseline``: the baseline's own point in each draw, so that only what is better in both counts.
        baseline: Name of the baseline.

    Returns:
        group, against ("" for a group alone, else the group that is subtracted), hypervolume (or the difference), low,
        high, optimism; NaN where no point of a group has both scores.

    Raises:
        ValueError: ``baseline`` is the reference and was not drawn.
    """
    if reference == "baseline" and baseline not in draws.configurations:
        raise ValueError(f"no draws of the baseline {baseline!r}")
    every = np.concatenate([draws.estimate[None], draws.points])
    place = {name: index for index, name in enumerate(draws.configurations)}
    corner = every[:, place[baseline]] if reference == "baseline" else np.asarray(reference, dtype=float)
    found: dict[str, np.ndarray] = {}
    for group in dict.fromkeys(groups.values()):
        names = {name for name, own in groups.items() if own == group} | {baseline}
        points = every[:, [place[name] for name in names if name in place]]
        known = ~np.isnan(points).any(axis=2).all(axis=1)
        found[group] = np.where(known, hypervolume(points, corner), np.nan)
    rows = [(group, "", *_basic(areas)) for group, areas in found.items()]
    rows += [(one, other, *_basic(found[one] - found[other])) for other, one in combinations(found, 2)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _basic(values: np.ndarray) -> tuple[float, float, float, float]:
    """The first value, its basic bootstrap interval from the others, and how far their mean is above it."""
    value, drawn = float(values[0]), values[1:]
    low, high = np.quantile(drawn, [0.5 + LEVEL / 2, 0.5 - LEVEL / 2])
    return value, 2 * value - float(low), 2 * value - float(high), float(drawn.mean()) - value
