"""What a verdict counts as: rows of a table of outcomes, which every score and difference is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from benchmark.protocol import Protocol
from benchmark.sample import Sample
from benchmark.scoring import possible
from iar.pipeline.evaluation import judge

COLUMNS = ("configuration", "benchmark", "sample", "category", "half", "metric", "value", "weight", "cluster", "family")

_Verdict = Mapping[str, Any] | None
_Counted = list[tuple[str, str, float, float]]  # category, metric, value, weight


def table(entries: Iterable[tuple[str, Protocol, Sample, _Verdict]]) -> pd.DataFrame:
    """The rows of many verdicts as a table; samples with the same label are counted once.

    Args:
        entries: Configuration, protocol, sample and verdict as `rows` takes them.
    """
    known: dict[tuple[Any, ...], _Counted] = {}
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    per_row = [columns[name] for name in ("category", "metric", "value", "weight")]
    for name, protocol, sample, verdict in entries:
        label = verdict and (verdict["judge"] == "none", verdict["label"], verdict.get("toxic"))
        key = (protocol.id, sample.id, label)
        if (counted := known.get(key)) is None:
            counted = known[key] = list(_counted(protocol, sample, verdict))
        for row in counted:
            for column, value in zip(per_row, row, strict=True):
                column.append(value)
        alike = (name, sample.benchmark, sample.id, sample.meta.get("half"), sample.cluster, sample.family)
        for title, value in zip(_ALIKE, alike, strict=True):
            columns[title].extend([value] * len(counted))
    return pd.DataFrame(columns)


_ALIKE = ("configuration", "benchmark", "sample", "half", "cluster", "family")


def rows(name: str, protocol: Protocol, sample: Sample, verdict: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """One for each metric and category or group of a sample; with value NaN where it is unscored.

    Args:
        name: Of the configuration.
        verdict: As in verdicts.jsonl; None for none.
    """
    alike = (name, sample.benchmark, sample.id, sample.meta.get("half"), sample.cluster, sample.family)
    for category, metric, value, weight in _counted(protocol, sample, verdict):
        found: dict[str, Any] = dict(zip(_ALIKE, alike, strict=True))
        found |= {"category": category, "metric": metric, "value": value, "weight": weight}
        yield {title: found[title] for title in COLUMNS}


def _counted(protocol: Protocol, sample: Sample, verdict: _Verdict) -> Iterator[tuple[str, str, float, float]]:
    # No answer, or none that the protocol counts, is not a wrong answer: n counts it, n_scored does not.
    counted = [] if verdict is None or verdict["judge"] == "none" else protocol.outcomes(sample, verdict["label"])
    for outcome in [*(counted or possible(protocol, sample)), *judge.toxicity(verdict, sample.category)]:
        value = outcome.value if counted else math.nan
        for category in dict.fromkeys((outcome.category, *sample.groups)):
            yield category, outcome.metric, value, outcome.weight
