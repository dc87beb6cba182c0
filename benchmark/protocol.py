"""A protocol: one pinned way of asking a benchmark and counting its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmark.sample import Loaded, Outcome, Sample

Better = Literal[1, 0, -1]  # higher is better, neither, lower is better
Task = Literal["vscbench", "xstest", "dualbench"]  # whose labels a judge is asked for


@dataclass(frozen=True)
class Headline:
    """A score that is a column of a run's tables; every other one is in scores.csv alone.

    Attributes:
        title: Of the column.
        metric, category: Which score it is.
        better: Which way is.
        full: The title where the columns beside it do not say what it is of; "" where ``title`` does.
        panel: Title of its panel in the heat maps, "" where it has none.
        detail: Left out of the tables that are to be narrow.
    """

    title: str
    metric: str
    category: str = "all"
    better: Better = 1
    full: str = ""
    panel: str = ""
    detail: bool = False

    @property
    def alone(self) -> str:
        """The title wherever it stands."""
        return self.full or self.title


@dataclass(frozen=True)
class Protocol:
    """What two scores must share to be comparable, and the functions that do it.

    Attributes:
        name: ``benchmark/preset``, e.g. ``pope/official-9000``.
        version: Comparability version: raised whenever the same answers could score differently than before.
        data: Which release of the data, in words.
        digests: File below the data folder -> SHA-256 that it must have to be that release; empty where no release can
            be pinned.
        files: Files below the data folder that hold the questions, as glob patterns; empty means those of ``digests``.
        prompt: The text that is asked, ``{question}`` and the like standing for what the sample brings.
        images: Which images are shown, where and in what order, in words.
        max_new_tokens: Length at which an answer is cut, in tokens of the model asked; decoding is greedy.
        parser: Name of the rule that turns an answer into a label, or ``judge`` where a judge reads it.
        aggregation: How outcomes become the headline score, in words.
        cluster: What samples of one cluster share; intervals are clustered on it.
        metrics: Names of the outcomes that ``outcomes`` can return.
        labels: Labels that an answer can get.
        source: Whose way of asking and counting this is.
        load: ``load(folder, split)``: the samples, and what cannot be asked.
        outcomes: ``outcomes(sample, label)``: what a labelled answer counts as; label None is an unparseable answer.
            No outcomes for None means that such an answer is unscored: counted neither as right nor as wrong.
        parse: ``parse(answer, sample)``: the label, None if unparseable. None where a judge reads the answer.
        judged_text: ``judged_text(answer)``: what a judge reads for an answer; the answer itself unless released code
            replaces some.
        headlines: Its columns in a run's tables, the same for every preset of a benchmark (the first one's are taken);
            where there are none, every metric is a column.
        by_category: Metric -> title of its panel in the figure of scores by category; empty where there is none.
        task: Whose labels a judge is asked for.
        own_splits: Whether ``load`` knows a validation split; else the samples are halved (``benchmark.halves``).
        read_reply: ``read_reply(reply)``: the label in the raw reply of the authors' own judge, None if there is none;
            for answer files that carry such replies.
    """

    name: str
    version: str
    data: str
    prompt: str
    images: str
    max_new_tokens: int
    parser: str
    aggregation: str
    cluster: str
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    source: str
    load: Callable[[Path, str], Loaded] = field(repr=False)
    outcomes: Callable[[Sample, str | None], list[Outcome]] = field(repr=False)
    parse: Callable[[str, Sample], str | None] | None = field(default=None, repr=False)
    digests: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    judged_text: Callable[[str], str] = field(default=str, repr=False)
    read_reply: Callable[[str], str | None] | None = field(default=None, repr=False)
    headlines: tuple[Headline, ...] = ()
    by_category: Mapping[str, str] = field(default_factory=dict)
    task: Task = "vscbench"
    own_splits: bool = False

    @property
    def id(self) -> str:
        """Written beside every score, e.g. ``pope/official-9000@2``."""
        return f"{self.name}@{self.version}"

    @property
    def benchmark(self) -> str:
        """The part before the slash, e.g. ``pope``."""
        return self.name.partition("/")[0]

    @property
    def questions(self) -> str:
        """The preset that asks the same and counts by our rule: endings such as ``-authors`` only count otherwise."""
        return self.name.removesuffix("-authors").removesuffix("-exact")

    @property
    def judged(self) -> bool:
        """Whether a judge reads the answers."""
        return self.parse is None
