"""From settings to a judge: an entry of conf/judge, or several of them as a panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from omegaconf import OmegaConf

from iar.errors import UserError, did_you_mean
from iar.judges.judge import Item, Judge

if TYPE_CHECKING:
    from iar.remote import Budget, Estimate

_MODEL = ("path", "revision", "dtype", "device", "device_map", "attention", "quantization", "batch_size")


class Limits(Protocol):
    """The most that requests may cost; None: no limit."""

    usd: float | None
    tokens: int | None


class Configured(Protocol):
    """What `configured` reads of a command's settings."""

    @property
    def judge(self) -> Mapping[str, Any]: ...
    @property
    def cache(self) -> str | None: ...
    @property
    def budget(self) -> Limits: ...


def configured(cfg: Configured, budget: Budget | None = None) -> Judge:
    """The judge of a command's settings, with its cache and its budget.

    Args:
        budget: Shared with other requests of the command; by default one of the judge alone, of ``cfg.budget``.

    Raises:
        UserError: As `judge_of`.
    """
    if budget is None:
        from iar.remote import Budget

        budget = Budget(usd=cfg.budget.usd, tokens=cfg.budget.tokens)
    return judge_of(cfg.judge, None if cfg.cache is None else Path(cfg.cache), budget)


def judge_of(settings: Any, cache: Path | None = None, budget: Budget | None = None) -> Judge:
    """The judge that an entry of conf/judge describes; None is the offline judge.

    Args:
        settings: The entry, or its name.
        cache: Folder of an endpoint's replies.

    Raises:
        UserError: An unknown kind, name or setting, or one that the judge cannot use.
    """
    if settings is None:
        return _rules({}, cache, budget)
    if isinstance(settings, str):
        settings = named(settings)
    entry = dict(settings)
    kind = str(entry.pop("kind", "no kind"))
    if kind not in _KINDS:
        raise UserError(f"unknown judge.kind {kind!r}: {did_you_mean(kind, _KINDS)}")
    return _KINDS[kind]({str(key): value for key, value in entry.items()}, cache, budget)


def named(name: str) -> Any:
    """The settings of an entry of conf/judge.

    Raises:
        UserError: There is none of that name.
    """
    from iar.shipped import shipped

    folder = shipped("conf") / "judge"
    known = {file.stem: file for file in folder.glob("*.yaml")}
    if name not in known:
        raise UserError(f"unknown judge {name!r}: {did_you_mean(name, known)}")
    return OmegaConf.to_container(OmegaConf.load(known[name]))


def estimate(judge: Judge, items: Sequence[Item]) -> Estimate | None:
    """What a judge's requests would cost at most; None for a judge that sends none."""
    members = [estimate(member, items) for member in getattr(judge, "members", ())]
    if members:
        found = [one for one in members if one is not None]
        return sum(found[1:], found[0]) if found else None
    asked: Callable[[Sequence[Item]], Estimate] | None = getattr(judge, "estimate", None)
    return None if asked is None else asked(items)


def _rules(entry: dict[str, Any], cache: Path | None, budget: Budget | None) -> Judge:
    from iar.judges.rules import Rules

    _check(entry, ("name",))
    return Rules()


def _labels(entry: dict[str, Any], cache: Path | None, budget: Budget | None) -> Judge:
    from iar.judges.recorded import Recorded

    _check(entry, ("files", "name"))
    files = entry.get("files") or []
    return Recorded([files] if isinstance(files, str) else files)


def _endpoint(entry: dict[str, Any], cache: Path | None, budget: Budget | None) -> Judge:
    from iar.judges.endpoint_judge import EndpointJudge

    return EndpointJudge.from_settings(entry, cache=cache, budget=budget)


def _panel(entry: dict[str, Any], cache: Path | None, budget: Budget | None) -> Judge:
    from iar.judges.panel import Panel

    _check(entry, ("members", "name"))
    return Panel.from_settings(entry, partial(judge_of, cache=cache, budget=budget))


def _local(entry: dict[str, Any], cache: Path | None, budget: Budget | None, kind: str) -> Judge:
    from iar.judges import local_judge
    from iar.judges.local_model import LocalModel

    judge, own = {
        "guard": (local_judge.Guard, ()),
        "classifier": (local_judge.Classifier, ("labels", "reads")),
        "chat": (local_judge.Chat, ("toxicity", "prompt_file", "max_tokens")),
    }[kind]
    _check(entry, ("name", *_MODEL, *own))
    if not entry.get("path"):
        raise UserError(f"a judge of kind {kind} needs its model: judge.path=DIR, or a hub id")
    model = LocalModel(**{name: entry[name] for name in _MODEL if name in entry})
    name = str(entry.get("name") or Path(str(entry["path"])).name)
    options = {setting: entry[setting] for setting in own if entry.get(setting) is not None}
    if "labels" in options:
        options["labels"] = _classes(options["labels"])
    made: Judge = judge(name, model, **options)
    return made


def _classes(given: Any) -> dict[str, str]:
    """Class -> label, from ``[CLASS:label, ...]`` or a mapping; a list, since Hydra adds to a mapping's keys."""
    if isinstance(given, Mapping):
        return {str(name): str(label) for name, label in given.items()}
    pairs = [str(pair).rpartition(":") for pair in ([given] if isinstance(given, str) else given)]
    if wrong := [label for name, _, label in pairs if not name.strip()]:
        raise UserError(f"judge.labels: {wrong[0]!r} is not CLASS:label: say judge.labels=[CLASS:answer,OTHER:refusal]")
    return {name.strip(): label.strip() for name, _, label in pairs}


def _check(entry: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in entry:
        if name not in known:
            raise UserError(f"unknown setting judge.{name}: {did_you_mean(name, known)}")


_KINDS: dict[str, Callable[[dict[str, Any], Path | None, Budget | None], Judge]] = {
    "rules": _rules,
    "labels": _labels,
    "endpoint": _endpoint,
    "panel": _panel,
    **{kind: partial(_local, kind=kind) for kind in ("guard", "classifier", "chat")},
}
