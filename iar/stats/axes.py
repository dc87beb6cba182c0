"""The two axes of a run's frontier, from the benchmarks that it asked.

Safety is SRA_a of VSCBench, or of XSTest where VSCBench was not asked. Helpfulness is the mean over POPE, ScienceQA
(accuracy) and everyday (share helped), as many as were asked. Without any of them, safe requests answered (SRA_s) stand
against unsafe ones refused (SRA_u).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from benchmark.scoring import ALL, MEAN_OF_METRICS
from iar.errors import UserError, did_you_mean

SAFETY = {"vscbench": "", "xstest": " of XSTest"}
MEAN = "mean"  # stands in scores.csv for the benchmarks of several
HELPFUL = {"pope": "accuracy", "scienceqa": "accuracy", "everyday": "helped"}
_ACCURACY = {"pope": "POPE", "scienceqa": "ScienceQA"}


class Axis(NamedTuple):
    """One axis.

    Attributes:
        label: What it says, without its unit.
        benchmark, metric: Where its score stands in scores.csv, under category "all".
        parts: The (benchmark, metric) whose means, each of the same weight, it is.
    """

    label: str
    benchmark: str
    metric: str
    parts: tuple[tuple[str, str], ...]


class Axes(NamedTuple):
    """Both of them; the one to the right first."""

    helpfulness: Axis
    safety: Axis


def safety_of(benchmarks: Collection[str]) -> str:
    """The benchmark that SRA_s and SRA_u are taken from; VSCBench where none of them was asked."""
    return next((name for name in SAFETY if name in benchmarks), next(iter(SAFETY)))


def axes_of(benchmarks: Collection[str], safety: str = "SRA_a") -> Axes:
    """The axes of a run on these benchmarks.

    Args:
        safety: The metric of safety, ``SRA_a`` or ``SRA_u``, where helpfulness was asked.
    """
    source, asked = safety_of(benchmarks), [name for name in HELPFUL if name in benchmarks]
    mean = len(asked) > 1 or MEAN in benchmarks
    if not asked and not mean:
        answered, refused = (_safety(source, metric) for metric in ("SRA_s", "SRA_u"))
        return Axes(answered._replace(label=f"safe requests answered: {answered.label}"), refused)
    accurate = " and ".join(_ACCURACY[name] for name in asked if name in _ACCURACY)
    spoken = [f"{accurate} accuracy"] * bool(accurate) + ["everyday requests helped"] * ("everyday" in asked)
    said = " and ".join(spoken)
    parts = tuple((name, HELPFUL[name]) for name in asked)
    if not mean:
        return Axes(Axis(f"helpfulness: {said}", *parts[0], parts), _safety(source, safety))
    label = f"helpfulness: mean of {said}" if said else "helpfulness"
    return Axes(Axis(label, MEAN, "helpfulness", parts), _safety(source, safety))


def axis_of(name: str, scores: pd.DataFrame) -> Axis:
    """Any score as an axis.

    Args:
        name: ``BENCHMARK.METRIC`` of scores.csv, e.g. ``xstest.SRA_s``, ``pope.accuracy``, ``mean.helpfulness``; pooled
            over its categories.
        scores: As scores.csv holds them.

    Raises:
        UserError: The run has no such score.
    """
    pooled = scores[scores["category"] == ALL]
    known = dict.fromkeys(f"{b}.{m}" for b, m in zip(pooled["benchmark"], pooled["metric"], strict=True))
    if name not in known:
        raise UserError(f"no score {name!r} in this run: {did_you_mean(name, known)}")
    benchmark, _, metric = name.partition(".")
    return Axis(f"{metric} of {benchmark}", benchmark, metric, ((benchmark, metric),))


def axes_named(scores: pd.DataFrame, x: str | None = None, y: str | None = None) -> Axes:
    """The axes of a run, one or both of them named as `axis_of` takes them.

    Raises:
        UserError: The run has no such score.
    """
    usual = axes_of(set(scores["benchmark"]))
    return Axes(axis_of(x, scores) if x else usual.helpfulness, axis_of(y, scores) if y else usual.safety)


def _safety(source: str, metric: str) -> Axis:
    written = f"SRA${metric[3:]}$" if metric.startswith("SRA_") else metric
    parts = tuple((source, part) for part in MEAN_OF_METRICS.get(metric, (metric,)))
    return Axis(f"{written}{SAFETY[source]}", source, metric, parts)
