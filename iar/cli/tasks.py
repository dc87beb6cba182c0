"""From Hydra's jobs to a command: all of them in one call, or each by itself where a launcher spreads them.

``hydra/launcher=grid`` (the default) gives all jobs to `Task.together`; every other launcher calls the task once a job,
in this process (basic), in others (joblib, submitit_local) or on other machines (submitit_slurm, slurm).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from iar.errors import UserError

JOB = "job.yaml"  # what a job that ran by itself leaves in Hydra's folder of it: its settings and its run folder


@dataclass(frozen=True)
class Done:
    """What a command made of its jobs.

    Attributes:
        folder: The run folder.
        objectives: Of each job its safety (SRA_a) and helpfulness, shares; NaN where it was not asked.
    """

    folder: Path
    objectives: Sequence[tuple[float, float]]


_S = TypeVar("_S")


class SingleJob(Protocol[_S]):
    """What a command knows of one job of a sweep that runs by itself (`iar.pipeline.evaluation.single_job`)."""

    def name(self, cfg: _S, /) -> str:
        """Unique among the jobs of the sweep."""

    def settings(self, cfg: _S, /) -> _S:
        """The job's own, with a run folder of its own."""

    def prepare(self, cfg: _S, /) -> None:
        """Makes what several jobs need and do not find."""


@dataclass(frozen=True)
class Command(Generic[_S]):
    """A command, as Hydra's jobs come to it.

    Attributes:
        run: Takes the settings of its jobs.
        read: Hydra's settings of a job as its own; raises what is wrong with them, before any job runs.
        single: How one job runs by itself; None: as all of them would.
        gather: Puts together what jobs left that ran by themselves (`left`): the settings of each, and its run folder.
            Returns the folder of the whole.
    """

    run: Callable[[list[_S]], Done | None]
    read: Callable[[DictConfig], _S]
    single: Callable[[], SingleJob[_S]] | None = None
    gather: Callable[[list[tuple[_S, str]]], Path] | None = None


class Task(Generic[_S]):
    """What Hydra is given to run.

    Args:
        command: What takes the settings of jobs.
        before: That of the grid before, whose jobs belong to the same call.
        last: Whether this is the last grid; else its jobs are kept for the next.

    Attributes:
        jobs: Those that were given together, or of a command that takes no sweep the one there is.
        composed: That one, until it is read.
        called: Whether the command was called with them.
        done: What it made of them.
        alone: Settings and run folders of jobs that ran by themselves (`left`).
        results: What a sweeper that chooses the points says of them.
    """

    def __init__(self, command: Command[_S], before: Task[_S] | None = None, last: bool = True) -> None:
        self.command = command
        self.jobs: list[_S] = list(before.jobs) if before else []
        self.composed: list[DictConfig] = []
        self.last = last
        self.called = False
        self.done: Done | None = None
        self.alone: list[tuple[_S, str]] = list(before.alone) if before else []
        self.results: str | None = None

    def __call__(self, cfg: DictConfig) -> tuple[float, float] | None:
        """One job by itself, with the baseline; of a command that takes no sweep, the job is only kept."""
        hydra = HydraConfig.get()
        if hydra.mode is not RunMode.MULTIRUN:
            self.composed.append(cfg)  # read when Hydra is done: it would print a line of its own with an error
            return None
        settings = self.command.read(cfg)
        folder = Path(hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        if self.command.single is None:
            self.command.run([settings])
            return None
        single = self.command.single()
        name = single.name(settings)
        with FileLock(folder / "prepare.lock"):  # the first makes what is missing, the others wait for it
            single.prepare(settings)
        with FileLock(folder / f"{name}.lock"):  # of two jobs with one configuration the second finds it answered
            done = self.command.run([single.settings(settings)])
        if done is None:  # a dry run
            return None
        made = {"settings": OmegaConf.to_container(cfg, resolve=True), "folder": str(done.folder)}
        OmegaConf.save(OmegaConf.create(made), Path(hydra.runtime.output_dir) / JOB)
        return _asked_for(done, 1)[0]

    def together(self, jobs: Iterable[DictConfig]) -> Sequence[tuple[float, float] | None]:
        """All jobs in one call, with those that were given before: what they have in common is not done again."""
        new = [self.command.read(cfg) for cfg in jobs]
        self.jobs += new
        if not self.last:
            if _sweeper() != "basic":
                raise UserError(f"hydra/sweeper={_sweeper()} chooses the points itself: leave out a recipe with grids")
            return [None] * len(new)
        self.called = True
        self.done = self.command.run(list(self.jobs))
        return [None] * len(new) if self.done is None else _asked_for(self.done, len(new))


def left(folder: Path) -> list[tuple[DictConfig, str]]:
    """The settings of the jobs that ran by themselves and their run folders, as they left them, in their order."""
    files = sorted(folder.glob(f"*/{JOB}"), key=lambda file: int(file.parent.name))
    found: list[Any] = [OmegaConf.load(file) for file in files]
    return [(job.settings, str(job.folder)) for job in found]


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
