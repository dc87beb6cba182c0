"""The command line that scores one configuration of a run again: every setting of the run that is not the default.

Settings are found by comparison: what the command would do by itself is composed, the first setting that differs from
the run's is put on the command line, and so on until nothing differs. What follows from another setting (the folder of
the vectors from the model's name) therefore does not appear. Values are quoted for Hydra, arguments for the shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict

from iar.pipeline.experiment.settings import compose
from iar.revision.configuration import Configuration
from iar.shipped import shipped

GROUPS = ("model", "data", "judge", "executor")
# The command says these itself, or knows them not.
_ELSEWHERE = ("split", "run", "dry_run", "confirm", "controls", "figures", "frontier", "measure")
_PARTS = {"reminder": "prompt", "shots": "fewshot", "shots_by": "fewshot", "shots_seed": "fewshot"}
_PLAIN = re.compile(r"(\./|[A-Za-z/])[A-Za-z0-9_/.+-]*")
_RESERVED = ("true", "false", "null", "nan", "inf")


def evaluate(settings: Mapping[str, Any], configuration: Configuration, run: Path) -> str:
    """``python -m iar.evaluate …`` on the test split, ready for a shell.

    Args:
        settings: The configuration's resolved settings, as its file in the run's ``configs`` holds them.
        run: Folder for the scores.
    """
    arguments, cfg = _beginning(settings, configuration)
    wanted = _own(configuration) | {key: value for key, value in settings.items() if key not in _not_shared()}
    said: set[str] = set()
    while True:
        base: Any = OmegaConf.to_container(cfg, resolve=True)
        new = next((item for item in _differing(wanted, base) if item[0] not in said), None)
        if new is None:
            return shlex.join(["python", "-m", "iar.evaluate", *arguments, "split=test", f"run={quoted(str(run))}"])
        said.add(new[0])
        arguments.append(f"{new[0]}={quoted(new[1])}")
        read = OverridesParser.create().parse_override(arguments[-1])
        OmegaConf.update(cfg, read.key_or_group, read.value(), force_add=True)


def _beginning(settings: Mapping[str, Any], configuration: Configuration) -> tuple[list[str], DictConfig]:
    """Method, place and strength and the entries of groups; what the command would do by these."""
    base, choices = _compose([])
    arguments = [f"method={configuration.method}"]
    if configuration.steered:
        layers = list(configuration.layers)
        arguments += [f"layer={quoted(layers[0] if len(layers) == 1 else layers)}"] * bool(layers)
        arguments += [f"strength={quoted(configuration.strength)}"]
        if configuration.pairs != choices["pairs"] and configuration.pairs in _options("pairs"):
            arguments.append(f"pairs={configuration.pairs}")
    for group in GROUPS:
        if isinstance(settings.get(group), Mapping):
            arguments += _option(group, settings[group], choices[group])
    asked = dict(settings.get("benchmark") or {})
    if asked and list(asked) != list(base.benchmark):
        arguments.append(f"benchmark=[{','.join(asked)}]")
    return arguments, _compose(arguments)[0]


def quoted(value: Any) -> str:
    """A value as Hydra's command line reads it.

    >>> quoted("7"), quoted([9, 14]), quoted(None), quoted("runs/a-b")
    ('"7"', '[9,14]', 'null', 'runs/a-b')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(quoted, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{quoted(k)}:{quoted(v)}' for k, v in value.items())}}}"
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
            return value
        return QuotedString(value.replace("${", r"\${"), Quote.double).with_quotes()
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _own(configuration: Configuration) -> dict[str, Any]:
    """The configuration's settings beside method, layer and strength; none of parts that its method does not have."""
    own: dict[str, Any] = {}
    for field in fields(configuration):
        if field.name in ("method", "layers", "strength"):
            continue
        part = _PARTS.get(field.name)
        if part in configuration.prompting if part else configuration.steered:
            value = getattr(configuration, field.name)
            value = None if field.name == "gate_layer" and value < 0 else value
            own[field.name] = {"name": value} if field.name == "pairs" else value
    return own


def _not_shared() -> set[str]:
    return {*_ELSEWHERE, "layer", *(field.name for field in fields(Configuration))}


def _options(group: str) -> list[str]:
    return sorted(file.stem for file in (shipped("conf") / group).glob("*.yaml"))


def _option(group: str, settings: Mapping[str, Any], default: str) -> list[str]:
    """The entry of a group that is most like the settings, if it is not the default; with what it asks to be given."""

    def likeness(option: str) -> tuple[bool, int, bool]:
        own = {key: value for key, value in _raw(group, option).items() if value != "???"}
        same = sum(key in settings and settings[key] == value for key, value in own.items())
        return option == settings.get("name"), 2 * same - len(own), option == default

    best = max(_options(group), key=likeness)
    missing = [key for key, value in _raw(group, best).items() if value == "???" and key in settings]
    given = [f"{group}.{key}={quoted(settings[key])}" for key in missing]
    # model.path alone would choose model=folder.
    moved = group == "model" and settings.get("path") != _raw(group, best).get("path")
    return [f"{group}={best}", *given] if best != default or moved else given


def _raw(group: str, option: str) -> dict[str, Any]:
    """What the file of an option itself says, interpolations unresolved."""
    file = shipped("conf") / group / f"{option}.yaml"
    return _content(file, file.stat().st_mtime_ns)


@cache
def _content(file: Path, written: int) -> dict[str, Any]:
    """A file as of that time; a command asks for each of some twenty often."""
    content = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items() if key != "defaults"}


def _compose(arguments: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The settings of iar.evaluate under these arguments, and the chosen entry of each group."""
    found = compose("evaluate", arguments, hydra_too=True)
    choices = dict(found.hydra.runtime.choices)
    with open_dict(found):
        found.pop("hydra")
    return found, choices


def _differing(wanted: Mapping[str, Any], base: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of each setting that differs; one that there is no longer is left out."""
    for key, value in wanted.items():
        name = f"{within}.{key}" if within else str(key)
        if key not in base:
            if within:
                yield f"+{name}", value
        elif isinstance(value, Mapping) and isinstance(base[key], Mapping):
            yield from _differing(value, base[key], name)
        elif value != base[key]:
            yield name, value
