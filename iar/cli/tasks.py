"""From Hydra's jobs to a command: all of them in one call, or each by itself where a launcher spreads them.

``hydra/launcher=grid`` (the default) gives all jobs to `Task.together`; every other launcher calls the task once a job,
in this process (basic), in others (joblib, submitit_local) or on other machines (submitit_slurm, slurm).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from iar.errors import UserError

JOB = "job.yaml"  # what a job that ran by itself leaves in Hydra's folder of it: its settings, its run folder as `run`


@dataclass(frozen=True)
class Done:
    """What a command made of its jobs.

    Attributes:
        folder: The run folder.
        objectives: Of each job its safety (SRA_a) and helpfulness, shares; NaN where it was not asked.
    """

    folder: Path
    objectives: Sequence[tuple[float, float]]


class SingleJob(Protocol):
    """What a command knows of one job of a sweep that runs by itself (`iar.pipeline.evaluation.single_job`)."""

    def name(self, cfg: DictConfig, /) -> str:
        """Unique among the jobs of the sweep."""

    def settings(self, cfg: DictConfig, /) -> DictConfig:
        """The job's own, with a run folder of its own."""

    def prepare(self, cfg: DictConfig, /) -> None:
        """Makes what several jobs need and do not find."""


@dataclass(frozen=True)
class Command:
    """A command, as Hydra's jobs come to it.

    Attributes:
        run: Takes the settings of its jobs.
        check: Raises what would break later, for each job before any runs.
        single: How one job runs by itself; None: as all of them would.
        gather: Puts together what jobs left that ran by themselves (`left`); returns the run folder.
    """

    run: Callable[[list[DictConfig]], Done | None]
    check: Callable[[DictConfig], None]
    single: Callable[[], SingleJob] | None = None
    gather: Callable[[list[DictConfig]], Path] | None = None


class Task:
    """What Hydra is given to run.

    Args:
        command: What takes the settings of jobs.
        before: That of the grid before, whose jobs belong to the same call.
        last: Whether this is the last grid; else its jobs are kept for the next.

    Attributes:
        jobs: Those that were given together, or of a command that takes no sweep the one there is.
        called: Whether the command was called with them.
        done: What it made of them.
        alone: Settings of jobs that ran by themselves (`left`).
        results: What a sweeper that chooses the points says of them.
    """

    def __init__(self, command: Command, before: Task | None = None, last: bool = True) -> None:
        self.command = command
        self.jobs: list[DictConfig] = list(before.jobs) if before else []
        self.last = last
        self.called = False
        self.done: Done | None = None
        self.alone: list[DictConfig] = list(before.alone) if before else []
        self.results: str | None = None

    def __call__(self, cfg: DictConfig) -> tuple[float, float] | None:
        """One job by itself, with the baseline; of a command that takes no sweep, the job is only kept."""
        hydra = HydraConfig.get()
        if hydra.mode is not RunMode.MULTIRUN:
            self.jobs.append(cfg)
            return None
        self.command.check(cfg)
        folder = Path(hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        if self.command.single is None:
            self.command.run([cfg])
            return None
        single = self.command.single()
        name = single.name(cfg)
        with FileLock(folder / "prepare.lock"):  # the first makes what is missing, the others wait for it
            single.prepare(cfg)
        with FileLock(folder / f"{name}.lock"):  # of two jobs with one configuration the second finds it answered
            done = self.command.run([single.settings(cfg)])
        if done is None:  # a dry run
            return None
        made = cfg.copy()
        with open_dict(made):
            made.into, made.run = cfg.run, str(done.folder)
        OmegaConf.save(made, Path(hydra.runtime.output_dir) / JOB, resolve=True)
        return _asked_for(done, 1)[0]

    def together(self, jobs: Iterable[DictConfig]) -> Sequence[tuple[float, float] | None]:
        """All jobs in one call, with those that were given before: what they have in common is not done again."""
        new = list(jobs)
        self.jobs += new
        for cfg in new:
            self.command.check(cfg)
        if not self.last:
            if _sweeper() != "basic":
                raise UserError(f"hydra/sweeper={_sweeper()} chooses the points itself: leave out a recipe with grids")
            return [None] * len(new)
        self.called = True
        self.done = self.command.run(list(self.jobs))
        return [None] * len(new) if self.done is None else _asked_for(self.done, len(new))


def left(folder: Path) -> list[DictConfig]:
    """The settings of the jobs that ran by themselves, as they left them, in their order."""
    files = sorted(folder.glob(f"*/{JOB}"), key=lambda file: int(file.parent.name))
    return [cfg for cfg in map(OmegaConf.load, files) if isinstance(cfg, DictConfig)]


def _asked_for(done: Done, count: int) -> Sequence[tuple[float, float]]:
    """The objectives of the last ``count`` jobs; a sweeper that chooses by them cannot go on without."""
    found = done.objectives[len(done.objectives) - count :]
    if _sweeper() != "basic" and any(math.isnan(value) for values in found for value in values):
        raise UserError(
            f"hydra/sweeper={_sweeper()} needs safety and helpfulness of every point, and {done.folder} has not both: "
            "ask benchmark=[vscbench,pope,scienceqa]"
        )
    return found


def _sweeper() -> str:
    choices: Any = HydraConfig.get().runtime.choices
    return str(choices.get("hydra/sweeper", "basic"))
