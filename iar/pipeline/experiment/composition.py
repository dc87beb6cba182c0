"""Hydra's composition of settings, remembered in this process.

Hydra composes a command's settings from some twenty YAML files, a quarter of a second each time. Command lines that
choose the same files and differ in values alone (``layer=9``, not ``model=llava-1.5-7b``) share one composition here:
the values are set in a copy of it, as Hydra sets them. What a command line leaves out about a model of the user's own
is filled in here, where every composition passes.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from hydra.types import RunMode
from hydra.version import getbase
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

KEPT = 64  # compositions at most
FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")  # Hydra's own values that nothing else in a composition depends on

_made: dict[tuple[Any, ...], DictConfig] = {}
_compose = ConfigLoaderImpl._load_configuration_impl


def _load(
    self: ConfigLoaderImpl, config_name: str | None, overrides: list[str], run_mode: RunMode, *how: bool, **also: bool
) -> DictConfig:
    """`ConfigLoaderImpl._load_configuration_impl`, which also says what is wrong and does what is not remembered."""
    overrides = _own_model(overrides)
    try:
        found = _shared(self, config_name, overrides, run_mode)
    except (HydraException, OmegaConfBaseException):
        found = None
    return _compose(self, config_name, overrides, run_mode, *how, **also) if found is None else found


def _shared(self: ConfigLoaderImpl, config_name: str | None, overrides: list[str], mode: RunMode) -> DictConfig | None:
    """A copy of the composition of these files, with these values; None where that is not all that is asked for."""
    given = OverridesParser.create().parse_overrides(overrides)
    if not all(_plain(override, mode) for override in given):
        return None
    values = [override for override in given if not self.repository.group_exists(override.key_or_group)]
    choices = [override for override in given if override not in values]
    chosen = [str(override.input_line) for override in choices]
    mode = mode if any(override.is_sweep_override() for override in choices) else RunMode.RUN
    path = [(str(part.provider), str(part.path)) for part in self.config_search_path.get_path()]
    key = (config_name, mode, *chosen, JobRuntime.instance().get("name"), getbase(), *path, *_stamps(path))
    if key not in _made:
        made = _compose(self, config_name, chosen, mode)
        if made.hydra.searchpath or made.hydra.job.env_copy:
            return None
        for old in list(_made)[: len(_made) - KEPT + 1]:
            del _made[old]
        _made[key] = made
    cfg = copy.deepcopy(_made[key])
    self._apply_overrides_to_config([value for value in values if not value.is_sweep_override()], cfg)
    task = [override for override in given if not override.is_hydra_override()]
    names = cfg.hydra.job.config.override_dirname
    with open_dict(cfg.hydra):
        cfg.hydra.overrides.task = [override.input_line for override in task]
        cfg.hydra.overrides.hydra = [override.input_line for override in given if override.is_hydra_override()]
        cfg.hydra.runtime.cwd = os.getcwd()
        cfg.hydra.job.override_dirname = get_overrides_dirname(
            task, kv_sep=names.kv_sep, item_sep=names.item_sep, exclude_keys=names.exclude_keys
        )
    return cfg


def _own_model(arguments: list[str]) -> list[str]:
    """``model.path=DIR`` alone is a saved model with its own name and dtype, not the embedded one in another place."""
    given = {argument.partition("=")[0]: argument for argument in arguments}
    if "model.path" not in given or given.get("model", "model=folder") != "model=folder":
        return arguments
    try:
        path = OverridesParser.create().parse_override(given["model.path"])
    except HydraException:  # it is said where all of them are read
        return arguments
    if path.is_sweep_override() or not path.value():
        return arguments
    own = [] if "model" in given else ["model=folder"]
    if "model.name" not in given:
        name = Path(str(path.value())).name.removesuffix(".gguf")
        own.append(f"model.name={QuotedString(name, Quote.single).with_quotes()}")
    return [*own, *arguments]


def _plain(override: Override, mode: RunMode) -> bool:
    """A value or a choice of a file: nothing added or deleted, nothing that changes how Hydra works."""
    if override.type is not OverrideType.CHANGE or override.package is not None:
        return False
    if override.is_sweep_override():
        return mode is RunMode.MULTIRUN and not override.is_hydra_override()
    if override.key_or_group.startswith("hydra."):
        return override.key_or_group in FOLDERS
    return not isinstance(override.value(), dict)


def _stamps(path: Sequence[tuple[str, str]]) -> list[tuple[str, int, int]]:
    """The files of configuration folders, when each was written, and its size."""
    places = (place.removeprefix("file://") for _, place in path)
    folders = [Path(place) for place in places if "://" not in place]
    files = [file for folder in folders for file in sorted(folder.rglob("*.yaml"))]
    return [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]


def _beside(self: CachingConfigRepository, delegate: IConfigRepository) -> None:
    """`CachingConfigRepository.__init__`, which copies all that is stored, for every group that ``--help`` lists: but
    it gets sources of its own afterwards, and changes none."""
    self.delegate = copy.copy(delegate)
    self.cache = {}


ConfigLoaderImpl._load_configuration_impl = _load  # type: ignore[method-assign]
CachingConfigRepository.__init__ = _beside  # type: ignore[method-assign]
