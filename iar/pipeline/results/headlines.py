"""The columns of a run's tables: what the protocol of each benchmark declares (`benchmark.protocol.Headline`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

import benchmark
from benchmark.protocol import Headline
from iar.pipeline.evaluation import unscored
from iar.stats.axes import BETTER

# metrics that count no sample as right or wrong
NO_SCORES = ("tokens", "prompt_tokens", "no_final", "nll", "incoherent", "helpfulness")

Place = tuple[str, str, str]  # benchmark, category, metric: a row of scores.csv of one configuration


@dataclass(frozen=True)
class Column:
    """A headline of a benchmark."""

    benchmark: str
    headline: Headline

    @property
    def title(self) -> str:
        return self.headline.title

    @property
    def place(self) -> Place:
        return self.benchmark, self.headline.category, self.headline.metric


def declared() -> Iterator[Column]:
    """The headlines of every benchmark there is."""
    for name in benchmark.names():
        for headline in benchmark.protocol(name).headlines:
            yield Column(name, headline)


def columns(scores: pd.DataFrame) -> list[Column]:
    """The headlines of the benchmarks that were asked; of a benchmark without any (manifest), each of its metrics."""
    known = list(declared())
    pooled = scores[(scores["category"] == "all") & ~scores["metric"].isin(NO_SCORES)]
    pooled = pooled[~pooled["metric"].astype(str).str.startswith(unscored.PREFIX)]
    others = pooled[~pooled["benchmark"].isin({column.benchmark for column in known})]
    asked = set(scores["benchmark"])
    return [column for column in known if column.benchmark in asked] + [
        Column(name, Headline(f"{name} {metric}", metric, better=BETTER.get(metric, 1)))
        for name, metric in others[["benchmark", "metric"]].drop_duplicates().itertuples(index=False)
    ]
