"""How sure a choice by the rule (`iar.stats.rule`) is.

With a sureness q each limit asks for a margin, the distance from v_m(c) - b_m down to the 1 - q quantile of its draws:
what is chosen keeps to each limit in q of the draws. Choosing again in a draw asks for the same margins. (A loss that
no question showed is in no draw either: of n questions without one, up to 3 / n may be lost elsewhere.)

How sure it is comes from the cluster bootstrap (Field & Welsh 2007): the clusters of each benchmark are drawn anew,
with replacement and the same for all configurations, and the choice is made again. Some 37 % of the clusters are left
out of a draw, and what was chosen is scored on those (the leave-one-out bootstrap, Efron & Tibshirani 1997): their mean
is what a choice made in this way is worth on questions that had no say in it. By how much the same one scores better
on the draw that it was chosen on is the optimism of choosing, the winner's curse. Both are on the careful side: a draw
holds fewer different questions than there are, and what is left out deviates the other way (of many configurations that
are all alike the optimism comes out some 1.4 times too large).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.intervals import codes
from iar.stats.rule import EDGE, Limits, Metric, choose, metrics_of, slack, within
from iar.stats.wide import Wide, wide


@dataclass(frozen=True)
class Draws:
    """The scores of every candidate, as they are and when the clusters are drawn anew.

    Attributes:
        candidates: Their names; the baseline first, then from weak to strong.
        metrics: As `metrics_of` returns them.
        estimate: (candidates, metrics) shares; NaN where not scored.
        inside: (draws, candidates, metrics), on the clusters that were drawn.
        outside: (draws, candidates, metrics), on those that were left out.
    """

    candidates: tuple[str, ...]
    metrics: tuple[Metric, ...]
    estimate: np.ndarray
    inside: np.ndarray
    outside: np.ndarray

    def among(self, names: Sequence[str]) -> Draws:
        """The baseline and the candidates of these names."""
        at = [0, *(i for i, name in enumerate(self.candidates) if i and name in names)]
        kept = tuple(self.candidates[i] for i in at)
        return Draws(kept, self.metrics, self.estimate[at], self.inside[:, at], self.outside[:, at])


@dataclass(frozen=True)
class Selection:
    """A choice, and how sure it is.

    Attributes:
        chosen: Index of the chosen candidate; 0, the baseline, where none keeps to the limits and is safer.
        slack: (candidates, limited): by how much (share) each is inside its limits; negative: outside.
        within: (candidates,) whether it keeps to every limit, with its margin.
        chosen_share: (candidates,) share of the draws in which it is the chosen one.
        within_share: (candidates,) share of the draws in which it keeps to every limit.
        gain: (metrics,) the chosen one's difference to the baseline, as it is.
        expected: (metrics,) the difference that a choice made in this way has on other questions; NaN where no draw
            left a question out.
        optimism: (metrics,) by how much that difference is larger on the questions that had a say in it.
    """

    chosen: int
    slack: np.ndarray
    within: np.ndarray
    chosen_share: np.ndarray
    within_share: np.ndarray
    gain: np.ndarray
    expected: np.ndarray
    optimism: np.ndarray

    @property
    def nearest(self) -> int:
        """The candidate that comes nearest to the limits, 0 where there is none but the baseline.

        The one whose worst score misses its limit by least, of equals the first.
        """
        worst = np.nan_to_num(self.slack[1:], nan=-np.inf).min(axis=1, initial=np.inf)
        return 1 + int(np.argmax(np.round(worst, 9))) if len(worst) else 0


def redraw(outcomes: pd.DataFrame, candidates: Sequence[str], draws: int = 1000, seed: int = 0) -> Draws:
    """Draw the clusters of each benchmark anew, the same for every candidate and metric.

    Args:
        outcomes: As `iar.stats.summarise` takes it, with ``sample`` (the sample's id).
        candidates: Names; the baseline first, then from weak to strong.
        draws: 1000 make a share of 50 % good to about 3 points.
        seed: The same seed gives the same draws.
    """
    random = np.random.default_rng(seed)

    def drawn(benchmark: str, clusters: Sequence[str]) -> np.ndarray:
        count = len(clusters)
        times = random.multinomial(count, np.full(count, 1 / count), size=draws)
        return np.vstack([times, times == 0])

    return _draws(outcomes, candidates, "cluster", drawn)


def leave_out(outcomes: pd.DataFrame, candidates: Sequence[str]) -> Draws | None:
    """Each family of questions (a kind of harm, a type of prompt) left out in turn, as draws: no choice has seen it.

    Args:
        outcomes, candidates: As `redraw`.

    Returns:
        As many draws as families, each of which leaves one out; None where there are fewer than two.
    """
    known = outcomes[outcomes["family"] != ""] if "family" in outcomes else outcomes[:0]
    families = sorted({*zip(known["benchmark"], known["family"], strict=True)} if len(known) else ())
    if len(families) < 2:
        return None

    def without(benchmark: str, own: Sequence[str]) -> np.ndarray:
        alone = np.array([[(benchmark, name) == family for name in own] for family in families])
        return np.vstack([~alone, alone]).astype(float)

    return _draws(outcomes, candidates, "family", without)


def _draws(
    outcomes: pd.DataFrame, candidates: Sequence[str], column: str, times: Callable[[str, Sequence[str]], np.ndarray]
) -> Draws:
    """Args:
    column: What is drawn: ``cluster`` or ``family``.
    times: Of a benchmark and its groups (2 draws, groups), how often each counts inside, and outside, of each draw.
    """
    table = wide(outcomes[outcomes["configuration"].isin(candidates)])
    there = {*zip(table.rows["benchmark"], table.rows["metric"], strict=True)}
    metrics = tuple(m for m in metrics_of({name for name, _ in there}) if there.issuperset(m.parts))
    order = [table.configurations.index(name) for name in candidates]
    found: dict[tuple[str, str], Any] = {}
    for benchmark in dict.fromkeys(name for metric in metrics for name, _ in metric.parts):
        own = list(dict.fromkeys(part for metric in metrics for part in metric.parts if part[0] == benchmark))
        found |= dict(zip(own, _means(table, column, own, times), strict=True))
    scores = np.stack([np.mean([found[part] for part in m.parts], axis=0)[:, order] for m in metrics], axis=-1)
    return Draws(tuple(candidates), metrics, scores[0], *np.split(scores[1:], 2))


def _means(
    table: Wide,
    column: str,
    places: Sequence[tuple[str, str]],
    times_of: Callable[[str, Sequence[str]], np.ndarray],
) -> list[np.ndarray]:
    """Of each metric of one benchmark (1 + 2 draws, configurations): as it is, inside and outside of each draw."""
    chosen = [
        ((table.rows["benchmark"] == name) & (table.rows["metric"] == metric)).to_numpy() for name, metric in places
    ]
    at = np.any(chosen, axis=0)
    names = [str(name) for name in table.rows[column][at]]
    group = np.zeros(len(at), dtype=int)
    group[at] = codes(names)
    groups = int(group.max()) + 1
    times = np.vstack([np.ones((1, groups)), times_of(places[0][0], sorted(set(names)))])
    means = []
    for rows in chosen:
        values = table.values[rows]
        weight = np.where(np.isnan(values), 0.0, np.nan_to_num(table.weights[rows]))
        hits, total = (_sums(part, group[rows], groups) for part in (weight * np.nan_to_num(values), weight))
        with np.errstate(divide="ignore", invalid="ignore"):
            means.append((times @ hits) / (times @ total))
    return means


def _sums(values: np.ndarray, cluster: np.ndarray, groups: int) -> np.ndarray:
    """Sums over clusters: (n, configurations) -> (groups, configurations)."""
    return np.column_stack([np.bincount(cluster, column, groups) for column in values.T])


def select(draws: Draws, limits: Limits) -> Selection:
    """Choose, and choose again in every draw."""
    room, redone = (slack(draws.metrics, scores, limits) for scores in (draws.estimate, draws.inside))
    margin = np.nan_to_num(room - _at_least(redone, limits.sure), posinf=0.0) if limits.sure else 0.0
    kept = within(room - margin)
    chosen = int(choose(draws.metrics, draws.estimate, kept))
    again = choose(draws.metrics, draws.inside, within(redone - margin))
    inside, outside = (_gain(scores, again) for scores in (draws.inside, draws.outside))
    return Selection(
        chosen,
        room,
        kept,
        chosen_share=np.bincount(again, minlength=len(draws.candidates)) / len(again),
        within_share=within(redone).mean(axis=0),
        gain=draws.estimate[chosen] - draws.estimate[0],
        expected=_mean(outside),
        optimism=_mean(inside - outside),
    )


def _at_least(slacks: np.ndarray, share: float) -> np.ndarray:
    """(draws, ...) -> (...): the most that is reached in this share of the draws; what is not scored reaches none."""
    ordered = np.sort(np.nan_to_num(slacks, nan=-np.inf), axis=0)
    return np.asarray(ordered[int((1 - share) * len(ordered) + EDGE)])


def _gain(scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(draws, candidates, metrics), (draws,) -> (draws, metrics): the chosen ones' differences to the baseline."""
    of_chosen: np.ndarray = np.take_along_axis(scores, chosen[:, None, None], axis=1)[:, 0]
    return np.asarray(of_chosen - scores[:, 0])


def _mean(values: np.ndarray) -> np.ndarray:
    """(draws, metrics) -> (metrics,) over the draws that know it; NaN where none does."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))
