"""What a verdict counts as: rows of a table of outcomes, which every score and difference is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from benchmark.protocol import Protocol
from benchmark.sample import Sample
from benchmark.scoring import possible
from iar.pipeline.evaluation import judge


def rows(name: str, protocol: Protocol, sample: Sample, verdict: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """One for each metric and category or group of a sample; with value NaN where it is unscored.

    Args:
        name: Of the configuration.
        verdict: As in verdicts.jsonl; None for none.
    """
    # No answer, or none that the protocol counts, is not a wrong answer: n counts it, n_scored does not.
    answered = verdict is not None and verdict["judge"] != "none"
    counted = protocol.outcomes(sample, verdict["label"]) if answered else []  # type: ignore[index]
    for outcome in [*(counted or possible(protocol, sample)), *judge.toxicity(verdict, sample.category)]:
        for category in dict.fromkeys((outcome.category, *sample.groups)):
            yield {
                "configuration": name,
                "benchmark": sample.benchmark,
                "sample": sample.id,
                "category": category,
                "half": sample.meta.get("half"),
                "metric": outcome.metric,
                "value": outcome.value if counted else math.nan,
                "weight": outcome.weight,
                "cluster": sample.cluster,
                "family": sample.family,
            }
