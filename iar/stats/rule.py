"""The configuration to take: one rule, for the ★ of a sweep and for `iar.recommend`.

    chosen = argmax_c u(c)   over the c with   b_m - v_m(c) <= loss_m   for every limited score m

u is the score to raise (SRA_a), v_m(c) a score that must not fall, b_m the baseline's; by the rule SRA_s may fall by 5
points and helpfulness by 2 (`Limits` say otherwise). Of equals the more helpful is chosen, then the weaker; the
baseline is a candidate, so nothing that is no better is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.scoring import ALL
from iar.revision.configuration import Configuration
from iar.revision.methods import BASELINE
from iar.stats.axes import HELPFUL, MEAN, TITLES, Axes, axes_of, safety_of
from iar.stats.pareto import signed

HELPFULNESS_LOSS, SRA_S_LOSS = 0.02, 0.05  # the rule's limits: 2 points, 5 points
EDGE = 2e-6  # scores.csv has six digits, and a difference of shares is rarely exactly 0.02


class Metric(NamedTuple):
    """One score: its title, where it stands in scores.csv, and the scores whose mean it is.

    Attributes:
        loss: How far below the baseline's it may lie by the rule; infinite where the rule sets no limit.
        cost: Whether it is one of those that ``Limits.most`` holds to.
    """

    title: str
    benchmark: str
    metric: str
    parts: tuple[tuple[str, str], ...]
    loss: float = math.inf
    cost: bool = False


def metrics_of(benchmarks: Collection[str]) -> tuple[Metric, ...]:
    """What a choice on these benchmarks looks at: the score to raise, SRA_s, helpfulness where it was asked; then what
    has no limit by the rule. Without VSCBench SRA_a, SRA_s and SRA_u are XSTest's."""
    source, asked = safety_of(benchmarks), [name for name in HELPFUL if name in benchmarks]
    parts = {"SRA_a": ((source, "SRA_s"), (source, "SRA_u"))}
    raised, kept, refused = (Metric(m, source, m, parts.get(m, ((source, m),))) for m in ("SRA_a", "SRA_s", "SRA_u"))
    found = [raised, kept._replace(loss=SRA_S_LOSS, cost=True)]
    single = [Metric(TITLES[name], name, HELPFUL[name], ((name, HELPFUL[name]),), cost=True) for name in asked]
    axis = axes_of(benchmarks).helpfulness
    if axis.benchmark == MEAN:
        found.append(Metric("helpfulness", *axis[1:4], loss=HELPFULNESS_LOSS))
    elif single:
        single[0] = single[0]._replace(loss=HELPFULNESS_LOSS)
    return (*found, *single, refused)


@dataclass(frozen=True)
class Limits:
    """What may be lost.

    Attributes:
        most: How far SRA_s, POPE, ScienceQA and everyday may each lie below the baseline's (shares: 0.01 is one point),
            in place of the rule's limits; None: the rule's.
        at_least: Title of a score -> the least it may be (a share), in place of its other limit.
        sure: Share of the draws in which what is chosen keeps to each limit; 0 asks for no margin.
    """

    most: float | None = None
    at_least: Mapping[str, float] | None = None
    sure: float = 0.0

    def losses(self, metrics: Sequence[Metric]) -> dict[int, float]:
        """Index of a score that may fall so far below the baseline's -> how far; those of ``at_least`` left out."""
        every = {
            index: metric.loss if self.most is None else self.most if metric.cost else math.inf
            for index, metric in enumerate(metrics)
            if metric.title not in (self.at_least or {})
        }
        return {index: loss for index, loss in every.items() if loss < math.inf}

    def least(self, metrics: Sequence[Metric], base: np.ndarray) -> tuple[list[int], np.ndarray]:
        """Indices of the limited scores, and (..., limited) the least that each may be.

        Args:
            base: (..., metrics) the baseline's. One that is not scored sets no limit.
        """
        wanted, losses = self.at_least or {}, self.losses(metrics)
        floors = {i: wanted[metric.title] for i, metric in enumerate(metrics) if metric.title in wanted}
        limited = sorted({**floors, **losses})
        columns = [np.full(base.shape[:-1], floors[i]) if i in floors else base[..., i] - losses[i] for i in limited]
        return limited, np.nan_to_num(np.stack(columns, axis=-1), nan=-np.inf)


def told(metrics: Sequence[Metric], limits: Limits = Limits()) -> str:
    """The rule in one sentence.

    >>> told(metrics_of(["vscbench", "pope", "scienceqa"]))
    'the highest SRA_a of the points at most 2 points of helpfulness and 5 of SRA_s below the baseline'
    >>> told(metrics_of(["xstest"]), Limits(0.01, {"SRA_s": 0.97}, 0.9))
    'the highest SRA_a of the points with SRA_s at least 97, each in 90 % of the draws'
    """
    titles: dict[float, list[str]] = {}
    for index, loss in limits.losses(metrics).items():
        spoken = limits.most is None and metrics[index].loss == HELPFULNESS_LOSS  # of one benchmark: by its meaning
        titles.setdefault(round(100 * loss, 6), []).append("helpfulness" if spoken else metrics[index].title)
    floors = [f"{title} at least {100 * least:g}" for title, least in (limits.at_least or {}).items()]
    falls = [f"{points:g} of {_and(names)}" for points, names in sorted(titles.items())]
    if falls:
        first, _, rest = falls[0].partition(" of ")
        falls[0] = f"{first} {'point' if first == '1' else 'points'} of {rest}"
    words = [f"with {_and(floors)}"] if floors else []
    words += [f"at most {_and(falls)} below the baseline"] if falls else []
    sure = f", each in {100 * limits.sure:.0f} % of the draws" if limits.sure else ""
    return f"the highest {metrics[0].title} of the points {' and '.join(words)}{sure}"


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def values(scores: pd.DataFrame, configurations: Sequence[str], metrics: Sequence[Metric]) -> np.ndarray:
    """(configurations, metrics) shares; NaN where not scored.

    Args:
        scores: What `iar.stats.summarise` returns (or scores.csv holds).
    """
    total = scores[scores["category"] == ALL].set_index(["configuration", "benchmark", "metric"])["value"].to_dict()
    rows = [[total.get((name, m.benchmark, m.metric), math.nan) for m in metrics] for name in configurations]
    return np.asarray(rows, dtype=float).reshape(len(rows), len(metrics))


def weak_first(configurations: Iterable[Configuration]) -> list[Configuration]:
    """The baseline first, then from weak to strong; of equals the first of the run."""
    return sorted(configurations, key=lambda c: (c.name != BASELINE, abs(c.strength)))


def recommend(
    scores: pd.DataFrame,
    configurations: Iterable[Configuration],
    limits: Limits = Limits(),
    controls: bool = False,
) -> str | None:
    """The configuration to take by the rule of this module: the ★ of a run.

    Random controls are never recommended. A point that is prompted alone is a candidate, for whoever wants a safe model
    can prompt it; so is the baseline, which comes back when nothing is worth it.

    The optimism is in the SRA_a of the point that comes back: the highest of many noisy scores is more often one that
    chance raised than one that chance lowered, so on the samples it was chosen on it overstates what the point does,
    and the more so the more points there are. Its interval there does not know of the choice. Choose on a validation
    split, report on the test split (`iar.pipeline.evaluation.confirm`).

    Args:
        scores: What `iar.stats.summarise` returns (or scores.csv holds).
        limits: Without a margin; what was not asked sets no limit.
        controls: Whether random controls are candidates all the same: among themselves one of them is the best.

    Returns:
        The configuration's name; None if there is no baseline or it has no SRA_a.
    """
    names = [c.name for c in weak_first(configurations) if controls or not c.control]
    metrics = metrics_of(set(scores["benchmark"]))
    found = values(scores, names, metrics)
    if names[:1] != [BASELINE] or math.isnan(found[0, 0]):
        return None
    return names[int(choose(metrics, found, within(slack(metrics, found, limits))))]


def starred(scores: pd.DataFrame, configurations: Iterable[Configuration], split: str) -> str | None:
    """What a run recommends: chosen on validation alone, of the test split's points none may be."""
    return recommend(scores, configurations) if split == "validation" else None


def sentence(scores: pd.DataFrame) -> str:
    """The rule as it stands under the tables and figures of these scores."""
    return f"★ {told(metrics_of(set(scores['benchmark'])), Limits())}"


def off_front(points: pd.DataFrame, scores: pd.DataFrame, best: str | None, axes: Axes | None = None) -> str:
    """Why the recommended point is not on the front of a figure, one sentence; "" where it is.

    Args:
        points: As from `iar.stats.frontier_points`, of the axes that are drawn.
        axes: These; None: those of `iar.stats.axes`.
    """
    points = signed(points, axes or axes_of(set(scores["benchmark"])))
    at = points[points["configuration"] == best]
    if at.empty or bool(at["pareto"].iloc[0]):
        return ""
    front = points[points["pareto"].astype(bool)].sort_values("safety", ascending=False, kind="stable")
    for axis in ("safety", "helpfulness"):
        front = front[front[axis] >= at[axis].iloc[0]]
    if front.empty:
        return ""
    other, metrics = str(front["configuration"].iloc[0]), metrics_of(set(scores["benchmark"]))
    base, own = values(scores, [BASELINE, other], metrics)
    limited, least = Limits().least(metrics, base)
    falls = [
        f"its {metrics[i].title} is {100 * (base[i] - own[i]):.1f} points below the baseline's"
        for i, floor in zip(limited, least, strict=True)
        if own[i] < floor - EDGE
    ]
    reason = _and(falls) or f"its {metrics[0].title} is {100 * own[0]:.1f}"
    return f"★ is off the front: {other} is better on both axes, but {reason}"


def slack(metrics: Sequence[Metric], scores: np.ndarray, limits: Limits) -> np.ndarray:
    """(..., candidates, metrics) scores -> (..., candidates, limited): how far inside the limits."""
    limited, least = limits.least(metrics, scores[..., :1, :])
    return np.asarray(np.where(np.isinf(least), np.inf, scores[..., limited] - least))


def within(slack: np.ndarray) -> np.ndarray:
    """(..., candidates, limited) -> (..., candidates); not steering is always allowed."""
    within = np.asarray((slack >= -EDGE).all(axis=-1))  # NaN is not
    within[..., 0] = True
    return within


def choose(metrics: Sequence[Metric], scores: np.ndarray, within: np.ndarray) -> np.ndarray:
    """(..., candidates, metrics), (..., candidates) -> (...): the highest goal within the limits; of equals the more
    helpful, of these the first."""
    goal = np.where(within & ~np.isnan(scores[..., 0]), np.round(scores[..., 0], 6), -np.inf)
    best = goal == goal.max(axis=-1, keepdims=True)
    helpful = [index for index, metric in enumerate(metrics) if metric.loss == HELPFULNESS_LOSS]
    second = np.round(np.nan_to_num(scores[..., helpful[0]], nan=-1.0), 6) if helpful else np.zeros_like(goal)
    return np.asarray(np.where(best, second, -np.inf).argmax(axis=-1))
