"""Two runs question by question, ``python -m iar.report A B``: models, methods, or the code before and after a change.

Every difference is B minus A on the questions that both were asked and have a score of, with the interval and the
p-value of `iar.stats.difference` (paired, clustered by image), Holm's correction over the compared configurations, and
McNemar's test. A configuration is compared with the one of its name; where each run has one left over that is no
control, these two are a pair as well (``cot`` in A, ``iar-L14-x1.5`` in B), so that two methods need no further word.

A benchmark is compared if both runs asked it under the same protocol and with the same question files, which
definition.json says; the others are left out and named. Nothing is computed but tables, and the same two runs give the
same bytes.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import benchmark
from benchmark.intervals import LEVEL, codes, linearised
from benchmark.sample import Loaded
from iar.errors import UserError
from iar.pipeline.evaluation import noise_floor, score
from iar.pipeline.evaluation.differences import above_noise
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.records import csv_file
from iar.stats import differences, holm
from iar.stats.axes import HELPFUL
from iar.stats.coded import Coded, Score, derived
from iar.stats.paired import FAMILY, NAMES

COLUMNS = [
    *("configuration", "against", "benchmark", "protocol", "category", "metric", "n", "clusters", "a", "b"),
    *("difference", "low", "high", "p", "p_holm", "significant", "up", "down", "exact_p", "exact_test"),
    *FAMILY,
    *("answers", "answers_changed", "verdicts_changed"),
]
LABELS = ["configuration", "against", "benchmark", "label_a", "label_b", "n"]
UNSCORED = "unscored"
_SIDES = ("A", "B")
_Question = tuple[str, str]  # benchmark, sample
_Records = dict[str, dict[_Question, tuple[str, str]]]  # configuration -> question -> answer, label


@dataclass(frozen=True)
class Comparison:
    """What two runs have in common and where they differ.

    Attributes:
        table: A row a pair of configurations, benchmark and metric: COLUMNS. ``a`` and ``b`` are the scores on the
            questions that both have a score of; ``answers``, ``answers_changed`` and ``verdicts_changed`` count the
            benchmark's questions that both runs have an answer to.
        labels: From which verdict to which: LABELS, ``n`` answers each, those that kept theirs included.
        counts: configuration, against, benchmark and the three counts, a row a pair and benchmark.
        pairs: (name in A, name in B).
        settings: What differs in the definitions, ``model.dtype: "float32" in A, "bfloat16" in B``.
        notes: What is left out, a line each.
    """

    table: pd.DataFrame
    labels: pd.DataFrame
    counts: pd.DataFrame
    pairs: list[tuple[str, str]]
    settings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether no answer and no verdict differs, nor what was asked."""
        return not (self.notes or self.counts[COLUMNS[-2:]].to_numpy().any())


def compare(a: Path, b: Path) -> pd.DataFrame:
    """The paired differences of two runs; see `Comparison.table`.

    Raises:
        UserError, DataError: As `compared`.
    """
    return compared(a, b).table


def compared(a: Path, b: Path) -> Comparison:
    """Reads two run folders and B's questions.

    Raises:
        UserError: No run, the same one twice, or nothing that both were asked; DataError: B's data are gone.
    """
    if a.resolve() == b.resolve():
        raise UserError(f"{a} and {b} are the same run: give two run folders")
    runs = FinishedRun.at(a), FinishedRun.at(b)
    common, left = _benchmarks(runs)
    if not common:
        raise UserError(f"{a} and {b} have nothing to compare: {'; '.join(left)}")
    asked = {name: loaded for name, loaded in runs[1].asked.items() if benchmark.protocol(name).benchmark in common}
    configurations = [run.configurations for run in runs]
    pairs, alone = _pairs(configurations)
    if not pairs:
        raise UserError(f"{a} and {b} have nothing to compare: {'; '.join(alone)}")
    records = [_records(run, asked, names) for run, names in zip(runs, zip(*pairs, strict=True), strict=True)]
    counts, labels = _changes(pairs, asked, records)
    if not counts["answers"].any():
        raise UserError(f"{a} and {b} have nothing to compare: no question has an answer in both (another split?)")
    named = [{c.name: c for c in own} for own in configurations]
    outcomes = [
        score.collect(FinishedRun(run.run, asked), [own[name] for name in dict.fromkeys(names)])
        for run, own, names in zip(runs, named, zip(*pairs, strict=True), strict=True)
    ]
    table = above_noise(_differences(pairs, outcomes), noise_floor.read(a), noise_floor.read(b))
    protocols = dict(common)
    protocols["mean"] = " + ".join(protocols[name] for name in HELPFUL if name in protocols)
    table["protocol"] = table["benchmark"].map(protocols)
    table = table.merge(counts, how="left", on=["configuration", "against", "benchmark"])
    table = table.astype({name: "Int64" for name in ("n", "clusters", "up", "down", *COLUMNS[-3:])})
    partial = _partial(counts, asked)
    return Comparison(table[COLUMNS], labels, counts, pairs, list(_settings(runs)), [*left, *alone, *partial])


def write(found: Comparison, out: Path) -> list[Path]:
    """The table as ``out``, the verdicts' labels beside it as ``<out>-labels.csv``.

    Raises:
        UserError: ``out`` lies in no folder.
    """
    if not out.parent.is_dir():
        raise UserError(f"no folder {out.parent}: make it, or give another place as --out")
    files = [out, out.with_name(f"{out.stem}-labels.csv")]
    for file, table in zip(files, (found.table, found.labels), strict=True):
        csv_file.write(file, table, csv_file.SMALL)
    return files


def show(a: Path, b: Path, out: Path | None = None) -> list[Path]:
    """Prints what differs and writes it; returns the files.

    Args:
        out: Of the table; None: ``compare-<name of A>.csv`` in B.

    Raises:
        UserError, DataError: As `compared` and `write`.
    """
    from iar.pipeline.results import compare_tables

    found = compared(a, b)
    compare_tables.show(found, a, b)
    return write(found, out or b / f"compare-{a.resolve().name}.csv")


def _benchmarks(runs: Sequence[FinishedRun]) -> tuple[dict[str, str], list[str]]:
    """Benchmark -> protocol where both asked the same, and a line for each other one."""
    one, other = (run.benchmarks for run in runs)
    common, left = {}, []
    for name in dict.fromkeys([*one, *other]):
        if name not in one or name not in other:
            left.append(f"{name}: only {'A' if name in one else 'B'} was asked")
            continue
        for key, what in (("protocol", "another protocol"), ("questions", "other question files")):
            old, new = (entry[name].get(key) if isinstance(entry[name], dict) else None for entry in (one, other))
            if old != new or old is None:
                said = f" ({old} in A, {new} in B)" if key == "protocol" else ""
                left.append(f"{name}: {what}{said}")
                break
        else:
            common[name] = str(one[name]["protocol"])
    return common, left


def _pairs(configurations: Sequence[Sequence[Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """The names in A and in B that are compared, in B's order, and a line for those that are not."""
    one, other = configurations
    names = [{c.name for c in own} for own in configurations]
    pairs = [(c.name, c.name) for c in other if c.name in names[0]]
    rest = [[c for c in own if c.name not in theirs] for own, theirs in ((one, names[1]), (other, names[0]))]
    real = [[c for c in own if not c.control] for own in rest]
    if len(real[0]) == len(real[1]) == 1:
        pairs.append((real[0][0].name, real[1][0].name))
        rest = [[c for c in own if c.control] for own in rest]
    lines = []
    for side, own in zip(_SIDES, rest, strict=True):
        if own:
            more = f" and {len(own) - 4} more" if len(own) > 4 else ""
            lines.append(f"only in {side}: {', '.join(c.name for c in own[:4])}{more}")
    return pairs, lines


def _records(run: FinishedRun, asked: Mapping[str, Loaded], names: Sequence[str]) -> _Records:
    """Every answer without an error; the latest counts."""
    wanted = {(benchmark.protocol(name).benchmark, s.id) for name, loaded in asked.items() for s in loaded.samples}
    answers: dict[str, dict[_Question, str]] = {name: {} for name in names}
    for (*question, name), record in run.generations.items():
        own, at = answers.get(name), tuple(question)
        if own is not None and at in wanted and not record["error"]:
            own[at] = record["answer"]
    labels: dict[str, dict[_Question, str]] = {name: {} for name in names}
    for (of, sample, name), record in run.verdicts.items():
        if (own := labels.get(name)) is not None:
            own[of, sample] = record["label"] or UNSCORED
    return {
        name: {at: (answer, labels[name].get(at, UNSCORED)) for at, answer in found.items()}
        for name, found in answers.items()
    }


def _changes(
    pairs: Sequence[tuple[str, str]], asked: Mapping[str, Loaded], records: Sequence[_Records]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How many answers and verdicts changed, by pair and benchmark; and from which label to which."""
    counts, moved = [], []
    for old, new in pairs:
        labels: dict[str, Counter[tuple[str, str]]] = {benchmark.protocol(name).benchmark: Counter() for name in asked}
        changed: Counter[str] = Counter()
        before = records[0][old]
        for at, (answer, label) in records[1][new].items():
            if at in before:
                labels[at[0]][before[at][1], label] += 1
                changed[at[0]] += before[at][0] != answer
        for name, found in labels.items():
            names = {"configuration": new, "against": old, "benchmark": name}
            flips = sum(n for (one, other), n in found.items() if one != other)
            counts.append(names | dict(zip(COLUMNS[-3:], (found.total(), changed[name], flips), strict=True)))
            moved += [names | {"label_a": a, "label_b": b, "n": n} for (a, b), n in sorted(found.items())]
    columns = ["configuration", "against", "benchmark", *COLUMNS[-3:]]
    return pd.DataFrame(counts, columns=columns), pd.DataFrame(moved, columns=LABELS)


def _differences(pairs: Sequence[tuple[str, str]], outcomes: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Every pair by itself, then Holm's correction over all pairs of a score."""
    own = [dict(list(frame.groupby("configuration", sort=False))) for frame in outcomes]
    tables = []
    for pair in pairs:
        both = pd.concat(
            [side[name].assign(configuration=label) for side, name, label in zip(own, pair, _SIDES, strict=True)],
            ignore_index=True,
        )
        found = differences(both, baseline="A").assign(configuration=pair[1], against=pair[0])
        if len(found):
            tables.append(found.merge(_values(both), how="left", on=NAMES))
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(tables, ignore_index=True)
    table["p_holm"] = table.groupby(NAMES, sort=False)["p"].transform(holm)
    table["significant"] = table["p_holm"] < 1 - LEVEL
    return table


def _values(both: pd.DataFrame) -> pd.DataFrame:
    """Columns a and b: the scores of both sides on the samples that both have a score of."""
    place = ["benchmark", "sample"]
    scored = both[both["value"].notna()].groupby(place)["configuration"].nunique()
    kept = both[pd.MultiIndex.from_frame(both[place]).isin(scored.index[scored == len(_SIDES)])]
    kept = kept.drop_duplicates(["configuration", *place, "metric"])
    columns = {}
    for side, frame in kept.groupby("configuration", sort=False):
        coded, outcomes = Coded(frame), frame["value"].to_numpy(dtype=float)
        columns[side.lower()] = {tuple(score[:3]): _mean(coded, outcomes, score) for score in derived(coded)}
    values = pd.DataFrame(columns, columns=["a", "b"])
    return values.rename_axis(NAMES).reset_index()


def _mean(coded: Coded, outcomes: np.ndarray, score: Score) -> float:
    """As `iar.stats.summarise` has it, without the interval."""
    weight, values = coded.weights[score.rows], outcomes[score.rows]
    counted = (weight > 0) & ~np.isnan(values)
    strata = np.zeros(len(values), dtype=int) if score.strata is None else coded.of(score.strata)[score.rows]
    stratum = codes(strata[counted])
    if len(set(stratum)) < score.parts:
        return math.nan
    return linearised(values[counted], weight[counted], stratum)[0]


def _partial(counts: pd.DataFrame, asked: Mapping[str, Loaded]) -> list[str]:
    """A line for each benchmark of which some of B's questions have no answer in both."""
    sizes = {benchmark.protocol(name).benchmark: len(loaded.samples) for name, loaded in asked.items()}
    fewest = counts.groupby("benchmark", sort=False)["answers"].min()
    return [
        f"{name}: {fewest[name]:,} of B's {size:,} questions have an answer in both"
        for name, size in sizes.items()
        if fewest[name] < size
    ]


def _settings(runs: Sequence[FinishedRun]) -> Iterator[str]:
    """What differs in the definitions; which questions, `_benchmarks` says."""
    old, new = (dict(_leaves(run.definition)) for run in runs)
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key) and not key.startswith("benchmarks."):
            values = (json.dumps(side[key]) if key in side else "nothing" for side in (old, new))
            yield "{}: {} in A, {} in B".format(key, *values)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _leaves(entry, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
