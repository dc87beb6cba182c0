"""Several models on all of VSCBench, one after the other in memory; each is a run in its own folder, and resumes.

Every model's counted outcomes are put together under its name, so that models are compared as configurations of one
model are elsewhere: on the same samples, with the same intervals.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.errors import DataError
from benchmark.sample import Loaded
from iar import records
from iar.errors import UserError
from iar.judges import factory
from iar.pipeline.audit.models import Model
from iar.pipeline.evaluation import dry_run as costs
from iar.pipeline.evaluation import score, unscored
from iar.pipeline.evaluation.engines import answering
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.experiment import data
from iar.pipeline.experiment.plan import configuration, plan
from iar.pipeline.experiment.settings import Auditing
from iar.records import Run
from iar.revision.configuration import Configuration
from iar.terminal import log_file
from iar.terminal.console import console

BENCHMARK = "vscbench"
# RuntimeError: the accelerator's memory is full, or a model's own code fails; the next model may do.
FAILURES = (UserError, DataError, OSError, ImportError, MemoryError, RuntimeError)


@dataclass
class Audit:
    """What was found.

    Attributes:
        folder: The audit's run folder.
        protocol: Under which the models were asked and counted, e.g. ``vscbench/full@2``.
        asked: How they were asked, e.g. ``method=none, limit=24``; or ``recorded answers``.
        outcomes: As `iar.stats.summarise` takes them, ``configuration`` being the model's name, in the list's order.
        unscored: What is not scored and why, as `iar.pipeline.evaluation.unscored.rows` gives it.
        failed: Model -> why there are no answers of it.
    """

    folder: Path
    protocol: str
    asked: str
    outcomes: pd.DataFrame = field(default_factory=pd.DataFrame)
    unscored: pd.DataFrame = field(default_factory=pd.DataFrame)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, run: Run, asked: Mapping[str, Loaded], configuration: Configuration) -> None:
        """A model's verdicts, counted; one without any that is scored has failed."""
        answered = FinishedRun(run, asked, [configuration])
        outcomes = score.collect(answered)
        if outcomes["value"].isna().all():
            self.fail(name, f"none of its {outcomes['sample'].nunique()} answers is scored")
            return
        lost = unscored.rows(answered)
        self.outcomes = pd.concat([self.outcomes, outcomes.assign(configuration=name)], ignore_index=True)
        self.unscored = pd.concat([self.unscored, lost.assign(configuration=name)], ignore_index=True)

    def fail(self, name: str, error: Exception | str) -> None:
        """Why a model is left out, as one line."""
        told = str(error) if isinstance(error, (str, UserError, DataError)) else f"{type(error).__name__}: {error}"
        self.failed[name] = " ".join(told.split())
        console.print(f"{name} left out: {self.failed[name]}", style="red", soft_wrap=True)


def check(cfg: Auditing) -> Configuration:
    """How the models are asked; before anything is loaded.

    Raises:
        UserError: It steers, or another benchmark than VSCBench is asked.
    """
    asked = configuration(cfg)
    if asked.steered:
        raise UserError(f"method={cfg.method} steers: an audit asks models as they are, iar.sweep steers one")
    if list(cfg.benchmark) != [BENCHMARK]:
        raise UserError(f"an audit asks {BENCHMARK} only: leave benchmark={','.join(cfg.benchmark)} to iar.evaluate")
    return asked


def ask(models: Sequence[Model], settings: Sequence[str] = ()) -> Audit:
    """Loads, asks and scores one model after the other.

    A model that cannot be loaded or asked is named and the next one goes on.

    Args:
        settings: The ``model.KEY=VALUE`` of the command line: they tell one audit from another.

    Raises:
        UserError, DataError: Nothing can be asked: the data are missing, or the folder belongs to another audit.
    """
    cfg = models[0].cfg
    one = check(cfg)
    data.prepare(cfg.data)
    asked = data.load(cfg, [BENCHMARK])
    audit = opened(cfg, one, {"settings": sorted(settings), "limit": cfg.limit})
    for number, model in enumerate(models, 1):
        console.print(f"model {number} of {len(models)}: {model.name}", style="bold")
        try:
            audit.add(model.name, _scored(model, audit.folder / model.name, asked, one), asked, one)
        except FAILURES as error:
            audit.fail(model.name, error)
        _free()
    return audit


def dry_run(models: Sequence[Model]) -> None:
    """Prints what each model would be asked and what that costs; asks nothing and writes nothing.

    Raises:
        UserError, DataError: As `ask`.
    """
    one = check(models[0].cfg)
    for model in models:
        try:
            costs.show(replace(plan([model.cfg]), configurations=(one,)))
        except FAILURES as error:
            console.print(f"{model.name}: {error}", style="red")


def opened(cfg: Auditing, one: Configuration, defined: Mapping[str, Any]) -> Audit:
    """The audit's folder, by default named after what all its models share: a longer list goes on in the same one."""
    described = data.describe(cfg, BENCHMARK)
    whole = {
        "command": "audit",
        "data": {"name": cfg.data.name, "folder": cfg.data.folder(cfg.split), "seed": cfg.data.seed},
        "benchmarks": {BENCHMARK: described},
        "judge": factory.configured(cfg).describe(),
        "method": one.to_dict(),
    } | dict(defined)
    run = Run.open(str(cfg.run or f"runs/audit-{records.key(**whole)[:8]}"), whole)
    log_file.open_in(run.path)
    part = f", limit={cfg.limit}" if cfg.limit else ""
    asked = "recorded answers" if "answers" in whole else f"method={one.name}{part}"
    return Audit(run.path, described["protocol"], asked)


def _scored(model: Model, folder: Path, asked: Mapping[str, Loaded], one: Configuration) -> Run:
    """One model's run; when this returns, nothing holds the model any more."""
    cfg = model.cfg.replace(run=str(folder))
    engine = answering(plan([cfg]), [one])
    run = score.open_run(cfg, "audit", score.definition(cfg, [BENCHMARK], engine))
    score.score(run, engine, cfg, asked, [one])
    return run


def _free() -> None:
    """What the last model held is given back before the next one is loaded."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
