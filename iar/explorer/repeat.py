"""The command that does a run again, and the versions it ran with: from the log of the run, or from its settings.

A run without a log is older than the log. Its command is put together: the places and strengths of its configurations
as commas, and every other setting that the command would not have by itself (`iar.pipeline.results.rerun_command`).
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import method_table, rerun_command
from iar.revision.configuration import Configuration
from iar.terminal import log_file

_COMMAND = re.compile(r"\$ (python -m iar\.(?:sweep|evaluate)(?: .*)?)")
_VERSIONS = re.compile(r"Python .*")
AXES = ("layer", "heads", "strength")  # what commas are put between
_FIELDS = ("layers", "heads", "strength")  # of a configuration, the same


def logged(folder: Path) -> tuple[list[str], list[str]]:
    """The commands that asked and scored, and the versions they ran with, each once, from the log; none without one."""
    try:
        lines = (folder / log_file.NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return [], []
    commands: dict[str, None] = {}
    versions: dict[str, None] = {}
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if found := _COMMAND.fullmatch(line):
            commands[found[1]] = None
            if _VERSIONS.fullmatch(following):
                versions[following] = None
    return list(commands), list(versions)


def commands(run: FinishedRun) -> list[str]:
    """One command, or several where the configurations do not form a grid; repeated, they resume in the same folder."""
    recorded, _ = logged(run.path)
    if recorded:
        return recorded
    try:
        return list(_rebuilt(run))
    except (HydraException, OmegaConfBaseException, OSError):  # older than its settings are known for
        return []


def _rebuilt(run: FinishedRun) -> Iterable[str]:
    folder, configurations = run.path, run.configurations
    sweep = not (folder / method_table.FILES[0]).is_file()
    seeds = len({c.seed for c in configurations if c.traits.controls} - {0})
    asked = [c for c in configurations if c.method != "none" and not (sweep and c.traits.controls)]
    for members in _grids(asked or list(configurations)):
        first = members[0]
        settings = run.settings_of(first.name)
        words = shlex.split(rerun_command.evaluate(settings, first, folder))[3:]
        kept = [
            word for word in words if word.partition("=")[0] not in (*AXES, "split", "run") and word != "method=iar"
        ]
        kept += [f"{axis}={','.join(values)}" for axis in AXES if (values := _values(members, axis))]
        if settings.get("split") != ("validation" if sweep else "test"):
            kept.append(f"split={settings['split']}")
        if sweep and seeds != 3:
            kept.append(f"controls={seeds}")
        yield shlex.join(["python", "-m", f"iar.{'sweep' if sweep else 'evaluate'}", *kept, f"run={folder}"])


def _grids(asked: Sequence[Configuration]) -> Iterable[list[Configuration]]:
    """Those that differ in layers, heads and strength alone, if they are all that commas make of these; where they are
    not, each place with its strengths, and places with the same strengths together."""
    alike: dict[tuple[object, ...], list[Configuration]] = {}
    for configuration in asked:
        names = [f.name for f in fields(configuration) if not configuration.steered or f.name not in _FIELDS]
        alike.setdefault(tuple(getattr(configuration, name) for name in names), []).append(configuration)
    for members in alike.values():
        if math.prod(max(1, len(_values(members, axis))) for axis in AXES) == len(members):
            yield members
            continue
        places: dict[tuple[object, ...], list[Configuration]] = {}
        for configuration in members:
            places.setdefault((configuration.layers, configuration.heads), []).append(configuration)
        same: dict[tuple[object, ...], list[Configuration]] = {}
        for found in places.values():
            same.setdefault((found[0].heads, *(c.strength for c in found)), []).extend(found)
        yield from same.values()


def _values(members: Sequence[Configuration], axis: str) -> list[str]:
    """The values of an axis in their order, for the command line; none where that is the default."""
    if not members[0].steered:
        return []
    if axis == "layer":
        found = [c.layers[0] if len(c.layers) == 1 else c.layers for c in members if c.layers]
    else:
        found = [getattr(c, axis) for c in members if axis == "strength" or c.heads]
    return list(dict.fromkeys(rerun_command.quoted(value) for value in found))
