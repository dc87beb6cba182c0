"""``hydra/launcher=grid``: all jobs of a sweep at once, so that one pass of the model answers them together.

Hydra finds launchers in the namespace package ``hydra_plugins`` alone, which is why this file is not in ``iar``. The
task must be an `iar.cli.tasks.Task`, which takes many jobs; any other Hydra application needs another launcher.
"""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write


class GridLauncher(Launcher):
    """Composes the settings of every job and gives them to the task in one call."""

    def __init__(self) -> None:
        self.config: DictConfig | None = None
        self.context: HydraContext | None = None
        self.task: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task, self.config = hydra_context, task_function, config
        _compose_once(hydra_context.config_loader)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs together.

        Returns:
            What the task returned for each of them. What it raises, it raises here: together the jobs fail together.
        """
        assert self.config is not None and self.context is not None and self.task is not None
        setup_globals()
        returns = []
        for overrides in job_overrides:
            cfg = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            task = OmegaConf.to_container(cfg.hydra.overrides.task)
            with read_write(cfg), open_dict(cfg):
                del cfg["hydra"]
            returns.append(JobReturn(task, cfg))  # type: ignore[arg-type]
        HydraConfig.instance().set_config(self.config)
        values = self.task.together([done.cfg for done in returns])  # type: ignore[attr-defined]
        for done, value in zip(returns, values, strict=True):
            done.status, done.return_value = JobStatus.COMPLETED, value
        return returns


def _compose_once(loader: ConfigLoader) -> None:
    """Hydra's sweeper composes every job to see that it can, and again to launch it: the second time is saved."""
    compose = loader.load_sweep_config
    made: dict[tuple[str, ...], DictConfig] = {}

    def remembered(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        job = tuple(sweep_overrides)
        if job in made:
            return made.pop(job)  # a launched job's settings are its own
        return made.setdefault(job, compose(master_config, sweep_overrides))

    loader.load_sweep_config = remembered  # type: ignore[method-assign]
