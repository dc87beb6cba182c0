"""What a verdict counts as: rows of a table of outcomes, which every score and difference is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmark.protocol import Protocol
from benchmark.sample import Sample
from benchmark.scoring import possible
from iar.pipeline.evaluation import judge

COLUMNS = ("configuration", "benchmark", "sample", "category", "half", "metric", "value", "weight", "cluster", "family")

_Verdict = Mapping[str, Any] | None


def table(entries: Iterable[tuple[str, Protocol, Sample, _Verdict]]) -> pd.DataFrame:
    """The rows of many verdicts as a table; samples with the same label are counted once.

    Args:
        entries: Configuration, protocol, sample and verdict as `rows` takes them.
    """
    known: dict[tuple[Any, ...], range] = {}  # which of the rows below a label counts as
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS[1:]}
    names: dict[str, int] = {}
    each: list[tuple[int, range]] = []
    for name, protocol, sample, verdict in entries:
        label = verdict and (verdict["judge"] == "none", verdict["label"], verdict.get("toxic"))
        key = (protocol.id, sample.id, label)
        if (counted := known.get(key)) is None:
            start = len(columns["sample"])
            for row in rows("", protocol, sample, verdict):
                for title, column in columns.items():
                    column.append(row[title])
            counted = known[key] = range(start, len(columns["sample"]))
        each.append((names.setdefault(name, len(names)), counted))
    counts = np.array([len(counted) for _, counted in each], dtype=int)
    before = np.cumsum(counts) - counts  # how many rows there are before an entry's
    first = np.array([counted.start for _, counted in each], dtype=int)
    at = np.repeat(first - before, counts) + np.arange(counts.sum())
    codes = np.repeat(np.array([code for code, _ in each], dtype=int), counts)
    found: dict[str, Any] = {"configuration": pd.Categorical.from_codes(codes, [*names])}
    return pd.DataFrame(found | {name: _compact(column).take(at) for name, column in columns.items()})


def _compact(column: list[Any]) -> pd.Categorical | np.ndarray:
    """Names as a categorical column: a byte or two a row."""
    if column and isinstance(column[0], float):
        return np.array(column, dtype=float)
    return pd.Categorical(column)


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
