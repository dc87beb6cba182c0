"""Which points of a finished validation sweep are scored again on the test split.

The best of many points is flattered by the samples it was chosen on; on others it shows what it is. The optimism is in
the validation scores of the chosen points, and in their intervals and p-values, which do not know of the choice; it
grows with the number of points, and for ``each`` with the points on a line. The test scores of what `chosen` returns
carry none, as long as the test split has no say in the choice: one point reported as it is, not the best of several on
the test split (those of ``each`` are several: compare them by Holm's p-values of `iar.stats.differences`).
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from iar.revision import methods
from iar.revision.configuration import Configuration
from iar.stats import frontier_points, recommend


def chosen(how: object, scores: pd.DataFrame, configurations: Sequence[Configuration]) -> list[Configuration]:
    """The configurations to score again, the baseline first; none when there is nothing to confirm.

    Args:
        how: True: the recommended point. ``each``: the best strength of every place and variant, by the same rule, or
            where no strength keeps to its limits the safest; and the random controls of those.
    """
    if how is False:
        return []
    points = frontier_points(scores, configurations)
    names = {recommend(points)} - {None, "none"} if how is True else _best_of_each(points, configurations)
    return [c for c in configurations if c.name in names or (names and c.method == "none")]


def _best_of_each(points: pd.DataFrame, configurations: Sequence[Configuration]) -> set[str | None]:
    lines: dict[tuple[str, ...], list[Configuration]] = {}  # one that is prompted alone is a line of one point
    for configuration in configurations:
        if not configuration.traits.controls and configuration.method != "none":
            lines.setdefault(_line(configuration), []).append(configuration)
    best: list[Configuration] = []
    # Random directions are never recommended, but here each competes with itself alone.
    named = points["method"].replace(dict.fromkeys(methods.controls(), "iar"))
    candidates = points.assign(method=named).set_index("configuration", drop=False)
    for line in lines.values():
        names = [c.name for c in line]
        name = recommend(candidates.loc[["none", *names]])
        if name in (None, "none"):
            name = candidates.loc[names]["safety"].idxmax() if candidates.loc[names]["safety"].notna().any() else None
        best += [c for c in line if c.name == name]
    pushes = {(*_line(c), strength) for c in best for strength in (c.strength, 0.0)}  # a gate alone has strength 0
    controls = [c for c in configurations if c.traits.controls and (*_line(c), c.strength) in pushes]
    return {c.name for c in best + controls}


def _line(configuration: Configuration) -> tuple[str, ...]:
    """What configurations of other strengths have in common, and their controls with them."""
    controlled = (*configuration.traits.controls, configuration.steering)[0]
    return configuration.said, controlled, configuration.place, configuration.variant
