"""Which models an audit asks, and the settings of each: the command's own with another model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from iar.errors import UserError, did_you_mean
from iar.pipeline.experiment import settings
from iar.pipeline.experiment.settings import Auditing
from iar.shipped import shipped
from iar.terminal.console import console

FOLDER = "folder"  # conf/model/folder.yaml: any saved model, under a name of one's own
_NAME = re.compile(r"[\w+-][\w.+-]*")  # it becomes a folder's name


@dataclass(frozen=True)
class Model:
    """A model of the list: its name in tables and figures, and all settings with it."""

    name: str
    cfg: Auditing


def quoted(argument: str) -> str:
    """A ``models=a,b=DIR`` or ``models=[a,b=DIR]`` of the command line as Hydra reads it; others as they are.

    >>> quoted("models=[pocket,mine=/models/a b]")
    "models=['pocket','mine=/models/a b']"
    """
    key, found, value = argument.partition("=")
    if key != "models" or not found or value in ("null", ""):
        return argument
    items = [item.strip().strip("'\"") for item in value.strip().removeprefix("[").removesuffix("]").split(",")]
    return f"models=[{','.join(_quote(item) for item in items if item)}]"


def names(listed: object) -> list[str]:
    """The entries of the setting ``models``; none where it is null."""
    if listed is None:
        return []
    return [str(entry) for entry in (listed if isinstance(listed, (list, tuple)) else [listed])]


def models(entries: Sequence[str], arguments: Sequence[str]) -> list[Model]:
    """The settings of every model, composed before any is loaded.

    A ``model.KEY=VALUE`` holds for every model of the list that has the setting KEY: an endpoint has no quantization.

    Args:
        entries: Names of conf/model, or NAME=FOLDER: the model of that name with the weights in FOLDER; a name that
            conf/model does not have stands for the folder as it is.
        arguments: The command line's settings, ``models`` left out.

    Raises:
        UserError: An unknown model, two of one name, or a setting that none of them has.
    """
    for argument in arguments:
        if argument.partition("=")[0] in ("model", "model.path", "model.name"):
            raise UserError(f"{argument}: an audit takes its models as models=[NAME,NAME=FOLDER]")
    own = [argument for argument in arguments if argument.lstrip("+").startswith("model.")]
    shared = [argument for argument in arguments if argument not in own and not argument.startswith("-")]
    found: dict[str, Model] = {}
    used: set[str] = set()
    known: set[str] = set()
    notes: list[str] = []
    for entry in entries:
        name, chosen = _entry(entry)
        if name in found:
            raise UserError(f"two models have the name {name!r}: rename one, models=[OTHER=FOLDER]")
        plain = settings.compose("audit", [*shared, *chosen])
        fitting = [argument for argument in own if _has(plain, argument)]
        used.update(fitting)
        if lacking := [argument for argument in own if argument not in fitting]:
            notes.append(f"{name} has no such setting, it is asked without: {', '.join(lacking)}")
        composed = settings.compose("audit", [*shared, *chosen, *fitting]) if fitting else plain
        if missing := OmegaConf.missing_keys(composed.model):
            raise UserError(f"{name} needs model.{min(missing)}=VALUE: see conf/model/{name}.yaml")
        known |= {f"model.{key}" for key in composed.model}
        cfg = settings.read(Auditing, composed)
        # VSCBench is a test set, and nothing is chosen here: all of it is asked.
        found[name] = Model(name, cfg.replace(data=cfg.data.replace(shared=False)))
    if unknown := [argument for argument in own if argument not in used]:
        key = unknown[0].partition("=")[0]
        raise UserError(f"unknown setting {key!r} of every model: {did_you_mean(key, known)}")
    for note in notes:
        console.print(note)
    return list(found.values())


def _entry(entry: str) -> tuple[str, list[str]]:
    """The name of an entry and the settings that choose it."""
    name, given, path = (part.strip() for part in entry.partition("="))
    known = {file.stem for file in (shipped("conf") / "model").glob("*.yaml")} - {FOLDER}
    if given and not path:
        raise UserError(f"models: {entry!r} names no folder: NAME=FOLDER")
    if not _NAME.fullmatch(name):
        raise UserError(
            f"models: {name!r} is not a valid name: use letters, digits, '.', '-' and '_' (a folder: NAME=FOLDER)"
        )
    if not given and name not in known:
        raise UserError(f"unknown model {name!r}: {did_you_mean(name, known)}; a saved one: {name}=FOLDER")
    weights = [f"model.path={_quote(path)}"] if given else []
    if name in known:
        return name, [f"model={name}", *weights]
    return name, [f"model={FOLDER}", f"model.name={_quote(name)}", *weights]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def _has(cfg: DictConfig, argument: str) -> bool:
    """Whether the settings know the argument's key, or the argument adds it (``+``)."""
    node: object = cfg
    for part in argument.partition("=")[0].split("."):
        if not isinstance(node, DictConfig) or part not in node.keys():  # noqa: SIM118  # `in node` denies what is ???
            return argument.startswith("+")
        node = node._get_node(part)
    return True
