"""One answer's whole way: what was asked, how the model was given it, what it said, how that was judged, and the rows
of scores.csv that it counts in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import pandas as pd

import benchmark
from benchmark.errors import DataError
from benchmark.sample import Sample
from iar.errors import UserError, did_you_mean
from iar.pipeline.evaluation import outcomes
from iar.pipeline.evaluation.finished_run import FinishedRun, Place, Record
from iar.revision.configuration import Configuration
from iar.stats.cells import percent

_LINES = ("\n", "\t")


def trace(run: FinishedRun, sample: str, configuration: str | None = None) -> str:
    """The way of an answer, as text for a terminal: whatever came from a file or a model holds no control character.

    Args:
        sample: Its id, or ``benchmark/id``.
        configuration: Name; None: the baseline, or the first there is.

    Raises:
        UserError: No answer to such a sample, the same id in several benchmarks, or no such configuration.
    """
    at = _place(run, sample, configuration)
    return visible("\n\n".join(f"{title}\n{_indented(text)}" for title, text in _parts(run, at)))


def visible(text: str) -> str:
    r"""Text without control characters, which a terminal would obey: they are written as escapes.

    >>> print(visible("a\x1b[31mb\n"), end="")
    a\x1b[31mb
    """
    return "".join(c if c in _LINES or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _place(run: FinishedRun, sample: str, configuration: str | None) -> Place:
    asked = dict.fromkeys((name, own) for name, own, _ in run.generations)
    found = [(name, own) for name, own in asked if sample in (own, f"{name}/{own}")]
    if not found:
        known = [own for _, own in asked]
        raise UserError(f"{run.path} has no answer to a sample {sample!r}: {did_you_mean(sample, known)}")
    if len(found) > 1:
        names = " or ".join(f"--sample {name}/{own}" for name, own in found)
        raise UserError(f"several benchmarks have a sample {sample!r}: {names}")
    there = [name for *question, name in run.generations if tuple(question) == found[0]]
    if configuration is None:
        configuration = "none" if "none" in there else there[0]
    if configuration not in there:
        way_out = did_you_mean(configuration, there)
        raise UserError(f"{run.path} has no answer of {configuration!r} to {sample!r}: {way_out}")
    return (*found[0], configuration)


def _parts(run: FinishedRun, at: Place) -> Iterator[tuple[str, str]]:
    record, verdict = run.generations[at], run.verdicts.get(at)
    yield "SAMPLE", f"{at[0]}/{at[1]}, configuration {at[2]}, {run.split} split, {run.path}"
    found = _sample(run, at)
    if isinstance(found, str):
        yield "QUESTION", found
    else:
        lines = [found.query or found.prompt, f"[category {found.category}, reference {found.reference or 'none'}]"]
        yield "QUESTION", "\n".join([*lines, *(f"[image {path}]" for path in found.images)])
    yield "PROMPT", _prompt(run, record)
    yield "SETTINGS", _settings(run, at[2])
    tokens = f"[{record.get('tokens')} tokens, prompt {record.get('prompt_tokens') or 'unknown'}]"
    yield "ANSWER", f"no answer: {record['error']}" if record.get("error") else f"{record.get('answer')}\n{tokens}"
    yield "VERDICT", "none yet: python -m iar.judge RUN_DIR" if verdict is None else _verdict(verdict)
    yield "COUNTS IN", "unknown without the question" if isinstance(found, str) else _rows(run, at, found, verdict)


def _sample(run: FinishedRun, at: Place) -> Sample | str:
    """Why it is not known, where its data are gone or others."""
    try:
        every = [sample for loaded in run.asked.values() for sample in loaded.samples]
    except (UserError, DataError) as error:
        return f"not known: {error}"
    return next((s for s in every if (s.benchmark, s.id) == at[:2]), "not known: its data no longer hold it")


def _prompt(run: FinishedRun, record: Record) -> str:
    """What was given to the model: as its template writes it, else turn by turn."""
    given = run.prompts.get(str(record.get("prompt")))
    if given is None:
        return "not recorded: the run is older than prompts.jsonl"
    digests = [digest for turn in given["turns"] for digest in turn["images"]]
    images = [f"[image sha256 {digest}]" for digest in digests]
    if "rendered" in given:
        return "\n".join([str(given["rendered"]), *images])
    return "\n".join([*(f"{turn['role']}: {turn['text']}" for turn in given["turns"]), *images])


def _settings(run: FinishedRun, name: str) -> str:
    """What the configuration sets, and what the definition says of the model and its decoding."""
    own = run.configuration(name)
    default = Configuration()
    changed = [f for f in fields(own) if getattr(own, f.name) != getattr(default, f.name)]
    shown = {f.name: getattr(own, f.name) for f in changed} or {"method": "none"}
    model = run.definition.get("model")
    shown |= {f"model.{key}": value for key, value in model.items()} if isinstance(model, dict) else {}
    shown |= {key: run.definition[key] for key in ("max_new_tokens", "reasoning_tokens") if key in run.definition}
    return "\n".join(f"{key}: {value}" for key, value in shown.items())


def _verdict(verdict: Record) -> str:
    label = verdict["label"] or f"unscored ({verdict.get('failure') or 'no label'})"
    reason = f"\n{verdict['reason']}" if verdict.get("reason") else ""
    return f"{label}, by {verdict['judge']} {verdict.get('version', '')}".rstrip() + reason


def _rows(run: FinishedRun, at: Place, sample: Sample, verdict: Record | None) -> str:
    """Each row of scores.csv that holds this answer: its value there, and what the answer adds."""
    protocols = [benchmark.protocol(name) for name in run.asked]
    protocol = next(protocol for protocol in protocols if protocol.benchmark == at[0])
    scores = run.scores[(run.scores["configuration"] == at[2]) & (run.scores["benchmark"] == at[0])]
    lines = []
    for row in outcomes.rows(at[2], protocol, sample, verdict):
        categories = dict.fromkeys(("all", row["half"], row["category"]))
        for category in (name for name in categories if name):
            score = scores[(scores["category"] == category) & (scores["metric"] == row["metric"])]
            if not score.empty:
                own = "unscored" if pd.isna(row["value"]) else f"{row['value']:g} with weight {row['weight']:g}"
                lines.append(f"{at[0]}, {category}, {row['metric']}: {_score(score.iloc[0])}; this answer: {own}")
    return "\n".join(dict.fromkeys(lines)) or "no row of scores.csv"


def _score(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return "no value"
    value, low, high = (percent(row[name]) for name in ("value", "low", "high"))
    counted = f", {row['n_scored']:,.0f} of {row['n']:,.0f} scored" if {"n", "n_scored"} <= set(row.index) else ""
    return f"{value} % [{low}, {high}]{counted}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))
