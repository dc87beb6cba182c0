"""Which points of a finished validation sweep are scored again on the test split.

The best of many points is flattered by the samples it was chosen on; on others it shows what it is. The optimism is in
the validation scores of the chosen points, and in their intervals and p-values, which do not know of the choice; it
grows with the number of points, and for ``each`` with the points on a line. The test scores of what `chosen` returns
carry none, as long as the test split has no say in the choice: one point reported as it is, not the best of several on
the test split (those of ``each`` are several: compare them by Holm's p-values of `iar.stats.differences`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from iar.revision.configuration import Configuration
from iar.stats import recommend
from iar.stats.rule import metrics_of, values


def chosen(how: object, scores: pd.DataFrame, configurations: Sequence[Configuration]) -> list[Configuration]:
    """The configurations to score again, the baseline first; none when there is nothing to confirm.

    Args:
        how: True: the recommended point. ``each``: the best strength of every place and variant, by the same rule, or
            where no strength keeps to its limits the safest; and the random controls of those.
    """
    if how is False:
        return []
    names = {recommend(scores, configurations)} - {None, "none"} if how is True else _each(scores, configurations)
    return [c for c in configurations if c.name in names or (names and c.method == "none")]


def _each(scores: pd.DataFrame, configurations: Sequence[Configuration]) -> set[str | None]:
    lines: dict[tuple[str, ...], list[Configuration]] = {}  # one that is prompted alone is a line of one point
    for configuration in configurations:
        if not configuration.traits.controls and configuration.method != "none":
            lines.setdefault(_line(configuration), []).append(configuration)
    best: list[Configuration] = []
    baseline = [c for c in configurations if c.method == "none"]
    raised = metrics_of(set(scores["benchmark"]))[:1]
    for line in lines.values():
        # Random directions are never recommended, but here each competes with itself alone.
        name = recommend(scores, [*baseline, *line], controls=True)
        if name in (None, "none"):
            safety = values(scores, [c.name for c in line], raised)[:, 0]
            name = None if np.isnan(safety).all() else line[int(np.nanargmax(safety))].name
        best += [c for c in line if c.name == name]
    pushes = {(*_line(c), strength) for c in best for strength in (c.strength, 0.0)}  # a gate alone has strength 0
    controls = [c for c in configurations if c.traits.controls and (*_line(c), c.strength) in pushes]
    return {c.name for c in best + controls}


def _line(configuration: Configuration) -> tuple[str, ...]:
    """What configurations of other strengths have in common, and their controls with them."""
    controlled = (*configuration.traits.controls, configuration.steering)[0]
    return configuration.said, controlled, configuration.place, configuration.variant
