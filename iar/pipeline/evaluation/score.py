"""Samples x configurations to answers, verdicts and scores, each appended to its file and never computed twice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

import benchmark
from benchmark.protocol import Protocol
from benchmark.sample import Loaded, Sample
from iar import records
from iar.errors import UserError
from iar.generation import Answering
from iar.judges import factory
from iar.pipeline.evaluation import (
    asked_file,
    differences,
    engines,
    fluency,
    generate,
    judge,
    noise_floor,
    outcomes,
    preflight,
    prompts,
    results_file,
    tracking,
    unscored,
)
from iar.pipeline.evaluation.finished_run import FinishedRun, Record
from iar.pipeline.experiment import data
from iar.pipeline.experiment.settings import Scoring
from iar.prompting import cot
from iar.prompting.composer import Composer
from iar.records import Run, csv_file
from iar.revision.configuration import Configuration
from iar.stats import summarise
from iar.stats.axes import HELPFUL
from iar.terminal import log_file
from iar.terminal.console import console


def definition(cfg: Scoring, names: Sequence[str], engine: Answering) -> dict[str, Any]:
    """What a score of this run depends on, besides the configuration and what only some configurations use."""
    described = {name: value for name, value in engine.describe().items() if name not in ("gates", "strengths")}
    said = engine.compose.describe() if isinstance(engine.compose, Composer) else {}
    return described | {
        "data": {
            "name": cfg.data.name,
            "folder": cfg.data.folder(cfg.split),
            "seed": cfg.data.seed,
            "split": cfg.split,
            "limit": cfg.limit,
        },
        **said,
        "benchmarks": {name: data.describe(cfg, name) for name in names},
        "max_new_tokens": cfg.model.max_new_tokens,
        "reasoning_tokens": cfg.reasoning_tokens,
        "judge": factory.configured(cfg).describe(),
        **fluency.described(cfg),
    }


def open_run(cfg: Scoring, command: str, defined: dict[str, Any]) -> Run:
    """The run folder, by default named after what it holds, so that the same command goes on in the same folder.

    In a name that is given, ``{definition}`` stands for those eight digits.
    """
    folder = str(cfg.run or f"runs/{command}-{{definition}}")
    run = Run.open(folder.replace("{definition}", records.key(**defined)[:8]), defined)
    log_file.open_in(run.path)
    return run


def score(
    run: Run,
    engine: Answering,
    cfg: Scoring,
    asked: Mapping[str, Loaded],
    configurations: Sequence[Configuration],
    apart: bool = False,
) -> FinishedRun:
    """Every configuration on every sample; writes scores.csv and returns the run with it.

    Args:
        asked: Protocol -> what it asks; a benchmark's name is its default protocol.
        apart: As `iar.pipeline.evaluation.generate.ask` takes it.

    Raises:
        UserError: A layer outside the model, nothing that can be asked: before anything is generated.
    """
    by = factory.configured(cfg, engines.budget(engine))
    for configuration in configurations:
        engine.check(configuration)
    _report_unasked(cfg, asked)
    _report_releases(run)
    prompts.report(engine.compose, asked, configurations)
    write_configurations(run.path, cfg, configurations)
    asked_file.write(run.path, asked, configurations)
    generate.ask(run, engine, cfg, asked, configurations, apart)
    fluency.measure(run, engine, cfg, asked, configurations)
    judge.judge(run, asked, by)
    noise_floor.measure(run, engine, cfg, asked, configurations[0], by)
    found = tabulate(run, asked, configurations)
    tracking.log(cfg.tracker, found)
    return found


def _report_unasked(cfg: Scoring, asked: Mapping[str, Loaded]) -> None:
    for name, loaded in asked.items():
        if lost := preflight.missing(loaded):
            console.print(f"{name}: {lost} (missing=stop ends here instead)")
        generate.tell(f"{name}: not asked, counted as unscored", [(item.id, item.reason) for item in loaded.unasked])
        if not loaded.samples:
            elsewhere = data.of_the_other_half(cfg, name.partition("/")[0])
            left_out = f"no sample can be asked ({len(loaded.unasked)} items left out, see above)"
            raise UserError(f"{name}: {elsewhere or left_out}")


def _report_releases(run: Run) -> None:
    found = run.definition.get("benchmarks", {}).values()
    if other := [benchmark["protocol"] for benchmark in found if benchmark["data"] == "other"]:
        console.print(f"not the release of the data that the protocol pins: {', '.join(other)}")


def write_configurations(folder: Path, cfg: Scoring, configurations: Sequence[Configuration]) -> None:
    """The resolved settings of each configuration, as YAML that Hydra reads; of the pairs only the name."""
    shared = cfg.to_dict()
    (folder / "configs").mkdir(exist_ok=True)
    for configuration in configurations:
        settings = shared | configuration.to_dict()
        settings["layer"] = settings.pop("layers")
        OmegaConf.save(OmegaConf.create(settings), folder / "configs" / f"{configuration.name}.yaml")


def _protocols(asked: Mapping[str, Loaded]) -> list[tuple[Protocol, Loaded]]:
    return [(benchmark.protocol(name), loaded) for name, loaded in asked.items()]


def tabulate(run: Run, asked: Mapping[str, Loaded], configurations: Sequence[Configuration]) -> FinishedRun:
    """Writes scores.csv: a row a configuration, benchmark, category and metric; plus the mean answer length in tokens,
    and where it was asked for the answers' fluency.

    ``protocol`` names what it was asked and counted under; of helpfulness, both. ``data``: ``pinned`` (the release that
    the protocol names), ``other``, or ``unpinned`` where none can be told.
    """
    found = FinishedRun(run, asked, configurations)
    outcomes = collect(found)
    fluent = fluency.rows(run, asked, configurations, found.verdicts)
    beside = [_lengths(found), fluent, unscored.rows(found)]
    scores = pd.concat([summarise(outcomes), *(table for table in beside if len(table))], ignore_index=True)
    ids = {protocol.benchmark: protocol.id for protocol, _ in _protocols(asked)}
    ids["mean"] = " + ".join(ids[name] for name in HELPFUL if name in ids)
    # Of what was answered nothing weighs anything: a model that never says yes has a precision of 0.
    answered = scores.groupby(["configuration", "benchmark", "category"])["n_scored"].transform("max") > 0
    scores.loc[answered & (scores["n"] == 0), "value"] = 0.0
    scores["families"] = scores["families"].astype("Int64")
    scores.insert(2, "protocol", scores["benchmark"].map(ids))
    defined = run.definition.get("benchmarks", {})
    scores.insert(3, "data", scores["benchmark"].map({name: entry["data"] for name, entry in defined.items()}))
    csv_file.write(run.path / "scores.csv", scores)
    results_file.write(found, scores)
    differences.write(run.path, outcomes, scores, configurations)
    return found


def collect(run: FinishedRun, configurations: Sequence[Configuration] | None = None) -> pd.DataFrame:
    """Counted outcomes, one row a configuration, sample, metric and category or group; unscored ones have value NaN.

    Args:
        configurations: Of the run; None: all.
    """
    names = [c.name for c in (run.configurations if configurations is None else configurations)]
    return outcomes.table(_entries(run, names))


def _entries(run: FinishedRun, names: Sequence[str]) -> Iterator[tuple[str, Protocol, Sample, Record | None]]:
    for name in names:
        for protocol, loaded in _protocols(run.asked):
            for sample in loaded.samples:
                yield name, protocol, sample, run.verdicts.get((protocol.benchmark, sample.id, name))
            for item in loaded.unasked:
                if item.sample is not None:
                    yield name, protocol, item.sample, None


def _lengths(run: FinishedRun) -> pd.DataFrame:
    """The mean number of tokens an answer and a prompt; with a chain of thought, the share without a final answer.

    In the order of the configurations, whatever that of the log.
    """
    rows: list[dict[str, Any]] = []
    for steering in [configuration.name for configuration in run.configurations]:
        for protocol, loaded in _protocols(run.asked):
            name = protocol.benchmark
            found = [run.generations.get((name, sample.id, steering)) for sample in loaded.samples]
            answers = [record for record in found if record and not record["error"]]
            means = {"tokens": [record["tokens"] for record in answers]}
            # A run may be older than the field, and an endpoint may not tell.
            prompt_tokens = [record.get("prompt_tokens") for record in answers]
            if any(tokens is not None for tokens in prompt_tokens):
                means["prompt_tokens"] = [tokens for tokens in prompt_tokens if tokens is not None]
            if cot.reasons(steering):
                means["no_final"] = [float(cot.final_answer(record["answer"]) is None) for record in answers]
            for metric, values in means.items():
                row = {"configuration": steering, "benchmark": name, "category": "all", "metric": metric}
                mean = sum(values) / len(values) if values else math.nan
                rows.append(row | {"n": len(found), "n_scored": len(values), "value": mean})
    return pd.DataFrame(rows).assign(low=math.nan, high=math.nan)
