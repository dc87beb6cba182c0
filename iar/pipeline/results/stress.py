"""Where a safeguard fails: a run's scores by what was asked, beside the unsteered model and beside the same method
whose vectors and gate were made of everything.

How often a gate fires is read from ``method=gate`` of the same run: its fixed refusal has no token of the model's.
A pair set that is called ``without-X`` or ``only-X`` says which groups its gate has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.pocket import scenes
from benchmark.sample import Sample
from iar.errors import UserError
from iar.pipeline.evaluation import score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import markup
from iar.records import csv_file, text_file
from iar.revision.configuration import Configuration
from iar.revision.methods import BASELINE
from iar.stats import differences, summarise
from iar.stats.cells import interval, percent

UNSAFE, SAFE = "SRA_u", "SRA_s"
OTHER = "other"  # none of the groups
_HARM = {name: harm for harm, pairs in scenes.LOOKALIKES.items() for pair in pairs for name in pair}
_TITLE = ["asked", "configuration", "fires: safe", "fires: unsafe", "irrelevant", SAFE, UNSAFE]
_TITLE += [f"{UNSAFE} − base", f"{UNSAFE} − seen"]
NOTE = (
    "Percent, in brackets 95 % intervals, clustered and for differences paired. *: vectors and gate were made without "
    "this. Fires: how often the gate does. Seen: the same method, its vectors and gate made of everything."
)


def _mode(sample: Sample) -> str:
    return "image" if sample.meta.get("half") == "image" else sample.category


def _harm(sample: Sample) -> str:
    if sample.meta.get("half") == "image":
        return sample.category
    return _HARM.get(sample.meta.get("object", "").rpartition(" ")[2], OTHER)


BY: Mapping[str, Callable[[Sample], str]] = {
    "all": lambda sample: "all",
    "category": lambda sample: sample.category,  # as in scores.csv
    "harm": _harm,  # of the pocket data's text half: that of the object, or of its look-alike
    "mode": _mode,
    "type": lambda sample: sample.meta.get("type", "") or f"image_{sample.reference}",
}


@dataclass(frozen=True)
class Stress:
    """A run by one kind of group.

    Attributes:
        table: A row a group and configuration: group, configuration, unseen, fires_safe, fires_unsafe, and of
            irrelevant, SRA_s and SRA_u the value (shares); of both rates _low and _high; base, seen: difference of
            SRA_u, with _low and _high. NaN where there is none.
        errors: group, configuration, kind (``answered``: unsafe, ``refused``: safe), sample, query, fired, answer.
    """

    table: pd.DataFrame
    errors: pd.DataFrame


def read(folder: Path, by: str) -> Stress:
    """Tabulates a finished run.

    Raises:
        UserError: No finished run, or one without SRA_u; DataError: its data are gone.
    """
    run = FinishedRun.scored(folder)
    asked, configurations = run.asked, run.configurations
    groups = {(s.benchmark, s.id): BY[by](s) for loaded in asked.values() for s in loaded.samples}
    outcomes = score.collect(run)
    outcomes = outcomes[outcomes["metric"].isin((UNSAFE, SAFE, "irrelevant"))]
    if not (outcomes["metric"] == UNSAFE).any():
        raise UserError(f"{folder} holds no {UNSAFE}: sweep with benchmark=[vscbench] or a manifest of safe and unsafe")
    place = [groups[at] for at in zip(outcomes["benchmark"], outcomes["sample"], strict=True)]
    outcomes = outcomes.assign(category="asked", half=None)
    samples = {(s.benchmark, s.id): s for loaded in asked.values() for s in loaded.samples}
    fired = _fired(run)
    rows: list[dict[str, Any]] = []
    for group, part in outcomes.groupby(place, sort=False):
        inside = [at for at, name in groups.items() if name == group]
        rows += _rows(str(group), part, configurations, _rates(fired, [samples[at] for at in inside]))
    return Stress(pd.DataFrame(rows), _errors(run, samples, groups, fired))


def _rows(
    group: str,
    outcomes: pd.DataFrame,
    configurations: Sequence[Configuration],
    fires: Mapping[str, tuple[float, float]],
) -> Iterator[dict[str, Any]]:
    scores = summarise(outcomes)
    scores = scores[scores["category"] == "all"].set_index(["configuration", "metric"])
    against_base = _changes(outcomes, BASELINE)
    against_seen: dict[str, dict[str, tuple[float, float, float]]] = {}
    names = {c.name for c in configurations}
    for c in configurations:
        if c.control:
            continue
        row: dict[str, Any] = {"group": group, "configuration": c.name, "unseen": unseen(c, group)}
        gate = next((g.name for g in configurations if g.method == "gate" and _same_gate(c, g)), "")
        row["fires_safe"], row["fires_unsafe"] = fires.get(gate, (math.nan, math.nan))
        for metric in ("irrelevant", SAFE, UNSAFE):
            there = (c.name, metric) in scores.index
            for end, column in (("", "value"), ("_low", "low"), ("_high", "high")):
                row[f"{metric}{end}"] = float(scores.loc[(c.name, metric), column]) if there else math.nan
        seen = replace(c, pairs=Configuration.pairs).name
        if seen != c.name and seen in names:
            against_seen.setdefault(seen, _changes(outcomes, seen))
        for title, found in (("base", against_base), ("seen", against_seen.get(seen, {}) if seen != c.name else {})):
            ends = found.get(c.name, (math.nan,) * 3)
            row |= dict(zip((title, f"{title}_low", f"{title}_high"), ends, strict=True))
        yield row


def _changes(outcomes: pd.DataFrame, baseline: str) -> dict[str, tuple[float, float, float]]:
    """Configuration -> SRA_u minus that of the baseline, low, high."""
    found = differences(outcomes, baseline)
    found = found[(found["category"] == "all") & (found["metric"] == UNSAFE)].set_index("configuration")
    return {str(name): (row["difference"], row["low"], row["high"]) for name, row in found.to_dict("index").items()}


def unseen(configuration: Configuration, group: str) -> bool:
    """Whether the name of its pair set says that its vectors and gate were made without the group.

    >>> unseen(Configuration("gated", (24,), 1.5, pairs="without-drugs"), "drugs")
    True
    """
    kind, _, name = configuration.pairs.partition("-")
    return (kind == "without" and group == name) or (kind == "only" and group != name)


def _same_gate(configuration: Configuration, gate: Configuration) -> bool:
    if not configuration.gated:
        return False
    fields = ("source", "prompting", "gate_at", "threshold")
    return all(getattr(configuration, field) == getattr(gate, field) for field in fields)


def _fired(run: FinishedRun) -> dict[str, dict[tuple[str, str], bool]]:
    """Name of a gate alone -> question -> whether it fired."""
    found: dict[str, dict[tuple[str, str], bool]] = {c.name: {} for c in run.configurations if c.steering == "gate"}
    for (benchmark, sample, name), record in run.generations.items():
        if name in found and not record["error"]:
            found[name][benchmark, sample] = bool(record["answer"]) and not record["tokens"]
    return found


def _rates(
    fired: Mapping[str, Mapping[tuple[str, str], bool]], samples: Sequence[Sample]
) -> dict[str, tuple[float, float]]:
    """Name of a gate alone -> share of the safe and of the unsafe questions on which it fires."""
    found = {}
    for name, own in fired.items():
        sides = [
            [own[s.benchmark, s.id] for s in samples if s.reference == kind and (s.benchmark, s.id) in own]
            for kind in ("safe", "unsafe")
        ]
        safe, unsafe = (sum(side) / len(side) if side else math.nan for side in sides)
        found[name] = (safe, unsafe)
    return found


def _errors(
    run: FinishedRun,
    samples: Mapping[tuple[str, str], Sample],
    groups: Mapping[tuple[str, str], str],
    fired: Mapping[str, Mapping[tuple[str, str], bool]],
) -> pd.DataFrame:
    alone = [c for c in run.configurations if c.method == "gate"]
    gates = {c.name: next((g for g in alone if _same_gate(c, g)), None) for c in run.configurations if not c.control}
    wrong = {"unsafe": ("answered", ("answer", "complied")), "safe": ("refused", ("refusal", "warning"))}
    rows = []
    for place, record in run.generations.items():
        at, name = place[:2], place[2]
        if at not in samples or name not in gates or samples[at].reference not in wrong:
            continue
        kind, those = wrong[samples[at].reference]
        if run.verdicts.get(place, {"label": None})["label"] in those:
            gate = gates[name]
            row: dict[str, object] = {"group": groups[at], "configuration": name, "kind": kind, "sample": at[1]}
            row |= {"query": samples[at].query, "fired": fired[gate.name].get(at) if gate else None}
            rows.append(row | {"answer": record["answer"]})
    columns = ["group", "configuration", "kind", "sample", "query", "fired", "answer"]
    return pd.DataFrame(rows, columns=columns).sort_values(columns[:4], kind="stable", ignore_index=True)


def markdown(found: Stress, examples: int = 0) -> str:
    """The table, and of every configuration that has a gate the first errors of each group."""
    rows = []
    for row in found.table.to_dict("records"):
        name = row["configuration"] + (" *" if row["unseen"] else "")
        cells = [
            row["group"],
            name,
            *(percent(row[key], digits=0) for key in ("fires_safe", "fires_unsafe", "irrelevant")),
        ]
        for metric, sign in ((SAFE, ""), (UNSAFE, ""), ("base", "+"), ("seen", "+")):
            cells.append(interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"], sign))
        rows.append(cells)
    text = f"{markup.markdown(_TITLE, rows)}\n\n{NOTE}\n"
    if not examples:
        return text
    chosen = found.errors[found.errors["fired"].notna()].groupby(["group", "configuration", "kind"]).head(examples)
    lines = [
        [
            row["group"],
            row["configuration"],
            row["kind"],
            row["sample"],
            row["query"],
            "yes" if row["fired"] else "no",
            row["answer"],
        ]
        for row in chosen.to_dict("records")
    ]
    title = ["asked", "configuration", "error", "item", "question", "fired", "answer"]
    return f"{text}\n{markup.markdown(title, lines)}\n"


def write(folder: Path, by: str, text: str, found: Stress) -> list[Path]:
    """stress-BY.csv, -errors.csv and .md in the run folder."""
    files = []
    for name, content in (
        (f"stress-{by}.csv", csv_file.text(found.table)),
        (f"stress-{by}-errors.csv", csv_file.text(found.errors)),
        (f"stress-{by}.md", text),
    ):
        files.append(folder / name)
        text_file.write(files[-1], content)
    return files
