"""``hydra/launcher=grid``: all jobs of a sweep at once, so that one pass of the model answers them together.

Hydra finds launchers in the namespace package ``hydra_plugins`` alone, which is why this file is not in ``iar``. The
task must be an `iar.cli.tasks.Task`, which takes many jobs; any other Hydra application needs another launcher.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException


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
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            whole = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(whole):
                whole.hydra.job.id = whole.hydra.job.num = number
            cfg = copy.deepcopy(whole)
            with read_write(cfg), open_dict(cfg):
                del cfg["hydra"]
            done = JobReturn(OmegaConf.to_container(whole.hydra.overrides.task), cfg, whole)  # type: ignore[arg-type]
            returns.append(done)
        HydraConfig.instance().set_config(self.config)
        values = self.task.together([done.cfg for done in returns])  # type: ignore[attr-defined]
        for done, value in zip(returns, values, strict=True):
            done.status, done.return_value = JobStatus.COMPLETED, value
        return returns


def _compose_once(loader: ConfigLoader) -> None:
    """Hydra's own sweeper composes every job to see that it can, and again to launch it, each from all its YAML files.

    Here the second time is saved, and jobs that differ in values alone (``layer=9``, not ``model=llava``) share one
    composition, the sweep's own where that chooses the same files: the values are set in a copy of it.
    """
    compose = loader.load_sweep_config
    made, shared = dict[tuple[str, ...], DictConfig](), dict[tuple[str, ...], DictConfig]()
    options = lru_cache(maxsize=None)(loader.get_group_options)

    def is_value(override: Override) -> bool:
        """``layer=9``: no choice of a file (``model=llava``), not Hydra's own, nothing added or deleted."""
        changes = override.type is OverrideType.CHANGE and override.package is None
        return changes and not override.is_hydra_override() and not options(override.key_or_group)

    def parse(job: Sequence[str]) -> tuple[list[Override], list[Override], tuple[str, ...]]:
        """All overrides, the values among them, and what is none."""
        parsed = OverridesParser.create().parse_overrides(list(job))
        values = [override for override in parsed if is_value(override)]
        return parsed, values, tuple(override.input_line or "" for override in parsed if override not in values)

    def settings(master: DictConfig, job: Sequence[str]) -> DictConfig:
        parsed, values, groups = parse(job)
        if groups not in shared:
            same = groups == parse(master.hydra.overrides.task)[2]
            shared[groups] = master if same else compose(master, list(groups))
        cfg = copy.deepcopy(shared[groups])
        ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
        task = [override for override in parsed if not override.is_hydra_override()]
        names = cfg.hydra.job.config.override_dirname
        with open_dict(cfg.hydra):
            cfg.hydra.overrides.task = [override.input_line for override in task]
            cfg.hydra.job.override_dirname = get_overrides_dirname(
                task, kv_sep=names.kv_sep, item_sep=names.item_sep, exclude_keys=names.exclude_keys
            )
        return cfg

    def remembered(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        job = tuple(sweep_overrides)
        if job in made:
            return made.pop(job)  # a launched job's settings are its own
        try:
            found = settings(master_config, job)
        except (HydraException, OmegaConfBaseException):
            found = compose(master_config, sweep_overrides)  # says what is wrong with it
        return made.setdefault(job, found)

    loader.load_sweep_config = remembered  # type: ignore[method-assign]
