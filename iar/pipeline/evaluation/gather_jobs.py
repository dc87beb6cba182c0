"""Runs of single configurations put together to the one run that one pass would have made; nothing is generated.

Each run holds the baseline and a configuration. Their definitions must agree in all that they share (the model, the
questions, the judge); answers and verdicts are taken over by their keys, and scored as one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from iar.errors import UserError
from iar.judges import factory
from iar.pipeline.evaluation import asked_file, fluency, judge, noise_floor, score, timings, tracking
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.experiment import data
from iar.pipeline.experiment.plan import Plan, plan
from iar.pipeline.experiment.settings import Scoring
from iar.records import Run, csv_file

_ANSWER = ("benchmark", "sample", "configuration")
PLACES = {
    "generations": _ANSWER,
    fluency.LOG: _ANSWER,
    fluency.DRAWN_LOG: ("benchmark", "sample", "seed"),
    "verdicts": judge.COLUMNS,
}


class Gathered(NamedTuple):
    """The run, scored, and what it is the whole of."""

    run: FinishedRun
    plan: Plan


def gather(jobs: Sequence[tuple[Scoring, str]], command: str) -> Gathered:
    """One run of the jobs' runs.

    Args:
        jobs: The settings of each as they were given, and its run folder.
        command: Name in the default folder, which is that of the same jobs in one pass.

    Raises:
        UserError: The runs differ in more than their configurations, or the folder holds another run.
    """
    parts = [Run.at(folder) for _, folder in jobs]
    asked = plan([job.replace(controls=0) for job, _ in jobs])
    definition: dict[str, Any] = {}
    for part in parts:
        _add(definition, part.definition, part.path)
    run = score.open_run(asked.cfg, command, definition)
    for log in PLACES:
        _take_over(run, parts, log)
    _add_prompts(run, parts)
    _add_up(run.path, [part.path for part in parts])
    noise_floor.take_over(run.path, [part.path for part in parts])
    samples = data.load(asked.cfg, asked.benchmarks)
    score.write_configurations(run.path, asked.cfg, asked.configurations)
    asked_file.write(run.path, samples, asked.configurations)
    judge.judge(run, samples, factory.configured(asked.cfg))
    found = score.tabulate(run, samples, asked.configurations)
    tracking.log(asked.cfg.tracker, found)
    return Gathered(found, asked)


def _add(whole: dict[str, Any], part: Mapping[str, Any], folder: Path, name: str = "") -> None:
    """Takes over what is not there; what is there must be the same."""
    for key, value in part.items():
        at = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            _add(whole.setdefault(key, {}), value, folder, at)
        elif whole.setdefault(key, value) != value:
            raise UserError(
                f"{folder} cannot be put together with the other jobs: {at} is {json.dumps(value)} there and "
                f"{json.dumps(whole[key])} in the first; run the sweep again, into another folder (run=OTHER)"
            )


def _take_over(run: Run, parts: Sequence[Run], name: str) -> None:
    """Of each place the latest record of the first run that has one without an error; what is there is left."""
    columns = PLACES[name]
    chosen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for part in parts:
        for at, record in _latest(part, name, columns).items():
            if at not in chosen or (chosen[at].get("error") and not record.get("error")):
                chosen[at] = record
    there = _latest(run, name, columns)
    with run.log(name) as log:
        for at, record in chosen.items():
            old = there.get(at)
            if old is None or (record["key"] != old["key"] and not record.get("error")):
                log.append(record)


def _add_prompts(run: Run, parts: Sequence[Run]) -> None:
    with run.log("prompts") as log:
        there = {record["key"] for record in log.read()}
        for record in (record for part in parts for record in part.log("prompts").read()):
            if record["key"] not in there:
                log.append(record)
                there.add(record["key"])


def _latest(run: Run, name: str, columns: Sequence[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(record[column] for column in columns): record for record in run.log(name).read()}


def _add_up(folder: Path, parts: Sequence[Path]) -> None:
    """timings.csv: over all jobs; the baseline was timed in each."""
    table = pd.concat([timings.read(part) for part in parts])
    if len(table):
        table = table.groupby(timings.COLUMNS[:2], sort=False, as_index=False).sum()
        csv_file.write(folder / timings.FILE, table, "%.3f")
