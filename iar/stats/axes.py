"""The two axes of a run's frontier, from the benchmarks that it asked.

Safety is SRA_a of VSCBench, or of XSTest where VSCBench was not asked. Helpfulness is the mean over POPE, ScienceQA
(accuracy) and everyday (share helped), as many as were asked. Without any of them, safe requests answered (SRA_s) stand
against unsafe ones refused (SRA_u).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

import benchmark
from benchmark.protocol import Better
from benchmark.scoring import ALL, MEAN_OF_METRICS
from iar.errors import UserError, did_you_mean

SAFETY = {"vscbench": "", "xstest": " of XSTest"}
MEAN = "mean"  # stands in scores.csv for the benchmarks of several
HELPFUL = {"pope": "accuracy", "scienceqa": "accuracy", "everyday": "helped"}
TITLES = {"pope": "POPE", "scienceqa": "ScienceQA", "everyday": "everyday"}
# Which way is better of a metric that no protocol declares as a headline (`benchmark.protocol.Headline`); 0: neither.
BETTER: dict[str, Better] = {
    **dict.fromkeys(
        ("SRA_s", "SRA_u", "SRA_a", "SRA_s_authors", "SRA_a_authors", "accuracy", "precision", "recall"), 1
    ),
    **dict.fromkeys(("F1", "helpfulness", "refusal_u", "full_refusal_u", "partial_refusal_u", "full_compliance_s"), 1),
    **dict.fromkeys(("irrelevant", "irrelevant_s", "irrelevant_u", "toxic", "toxic_refusal", "over_refusal"), -1),
    **dict.fromkeys(("full_refusal_s", "partial_refusal_s", "full_compliance_u", "no_final", "nll", "incoherent"), -1),
    **dict.fromkeys(("yes", "tokens", "prompt_tokens", "unparseable"), 0),
}


class Axis(NamedTuple):
    """One axis.

    Attributes:
        label: What it says, without its unit.
        benchmark, metric: Where its score stands in scores.csv, under category "all".
        parts: The (benchmark, metric) whose means, each of the same weight, it is.
        better: 1 where more is better, -1 where less is.
    """

    label: str
    benchmark: str
    metric: str
    parts: tuple[tuple[str, str], ...]
    better: int = 1

    @property
    def share(self) -> bool:
        """Whether it is a share from 0 to 1; a mean negative log-likelihood (nats a token) is none."""
        return self.metric != "nll"

    @property
    def said(self) -> str:
        """The label with its unit, and which way is better where that is less."""
        return f"{self.label} ({'%' if self.share else 'nats a token'}{', less is better' * (self.better < 0)})"


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
    accurate = " and ".join(TITLES[name] for name in asked if HELPFUL[name] == "accuracy")
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
        UserError: The run has no such score, or it is not known which way it is better.
    """
    pooled = scores[scores["category"] == ALL]
    known = dict.fromkeys(f"{b}.{m}" for b, m in zip(pooled["benchmark"], pooled["metric"], strict=True))
    if name not in known:
        raise UserError(f"no score {name!r} in this run: {did_you_mean(name, known)}")
    source, _, metric = name.partition(".")
    better = direction(source, metric)
    if not better:
        reason = "neither more nor less of it is better" if better == 0 else "no headline says which way it is better"
        usable = [one for one in known if direction(*one.split(".", 1))]
        raise UserError(f"{name} is no axis of a frontier: {reason}; take one of {', '.join(usable)}")
    return Axis(f"{metric} of {source}", source, metric, ((source, metric),), better)


def direction(source: str, metric: str) -> int | None:
    """1 where more of a benchmark's metric is better, -1 where less is, 0 where neither; None where it is not known."""
    if source in benchmark.names():
        declared = {line.metric: line.better for line in benchmark.protocol(source).headlines}
        if metric in declared:
            return declared[metric]
    return BETTER.get(metric)


def axes_named(scores: pd.DataFrame, x: str | None = None, y: str | None = None) -> Axes:
    """The axes of a run, one or both of them named as `axis_of` takes them.

    Raises:
        UserError: The run has no such score.
    """
    usual = axes_of(set(scores["benchmark"]))
    return Axes(axis_of(x, scores) if x else usual.helpfulness, axis_of(y, scores) if y else usual.safety)


def plane_of(scores: pd.DataFrame) -> Axes | None:
    """Safe requests answered (SRA_s, upwards) against unsafe ones refused (SRA_u); None where not both were asked."""
    source = safety_of(set(scores["benchmark"]))
    there = set(scores[scores["benchmark"] == source]["metric"])
    answered, refused = axes_of({source})
    refused = refused._replace(label=f"unsafe requests refused: {refused.label}")
    return Axes(refused, answered) if {"SRA_s", "SRA_u"} <= there else None


def _safety(source: str, metric: str) -> Axis:
    written = f"SRA${metric[3:]}$" if metric.startswith("SRA_") else metric
    parts = tuple((source, part) for part in MEAN_OF_METRICS.get(metric, (metric,)))
    return Axis(f"{written}{SAFETY[source]}", source, metric, parts)
