"""What is wrong with a command before it starts: everything at once, and no weights are loaded for it.

A sweep looks itself (`check`), since a wrong layer costs minutes once the model is loaded; ``iar.check`` looks further
and says what the command would take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.errors import DataError
from benchmark.sample import Loaded
from benchmark.untrusted import parse_json
from iar.errors import UserError
from iar.judges import factory
from iar.models.pocket import WEIGHTS
from iar.pipeline.evaluation import pictures, prompts, tracking
from iar.pipeline.experiment import data
from iar.pipeline.experiment.plan import Plan
from iar.pipeline.experiment.settings import Model, Scoring, Settings
from iar.revision.configuration import Configuration
from iar.vectors import hub

_HEADS = ("num_attention_heads", "n_head", "num_heads")
_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_TEXTS = ("text_config", "llm_config", "language_config")


@dataclass
class Found:
    """What was seen.

    Attributes:
        samples: Protocol -> what it asks, of the benchmarks that could be read.
        problems: One line each; empty where the command can start.
    """

    samples: dict[str, Loaded] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, step: Callable[[], Any]) -> None:
        """What a step raises is a problem."""
        try:
            step()
        except (UserError, DataError) as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))


def check(asked: Plan) -> dict[str, Loaded]:
    """The samples of a plan whose data are there (`iar.pipeline.experiment.data.prepare`).

    Raises:
        UserError: Everything that is wrong, numbered where it is several things.
    """
    found = look(asked)
    if len(found.problems) == 1:
        raise UserError(found.problems[0])
    if found.problems:
        listed = "; ".join(f"({number}) {problem}" for number, problem in enumerate(found.problems, 1))
        raise UserError(f"{len(found.problems)} things are wrong: {listed}")
    return found.samples


def look(asked: Plan, deep: bool = False) -> Found:
    """Everything that is wrong with a plan.

    Args:
        deep: Read the pairs too, not only look whether they are there.
    """
    cfg, found = asked.cfg, Found()
    here = cfg.model.kind == "local"
    if here:
        found.take(partial(_placement, cfg.model))
        found.take(partial(_model, asked))
    for name in asked.benchmarks:
        found.take(partial(_questions, cfg, name, found.samples))
        found.take(partial(pictures.check, cfg, [name], local=True))
    steered = {c.source: c.pairs for c in asked.configurations if c.steered}
    for name, own in asked.pairs.items() if here else ():
        missing = [s for s, pairs in steered.items() if pairs == name and not _there(cfg, s)]
        if missing:
            found.take(partial(_pairs, own, deep))
        _extraction(own, asked.configurations, bool(missing), found)
    if here and any(c.kl for c in asked.configurations):
        from iar.pipeline.extraction import kl_strength  # here, and below, because they load torch

        found.take(partial(kl_strength.benign, cfg))
    found.take(partial(prompts.composer, cfg, asked.configurations))
    found.take(partial(factory.configured, cfg))
    found.take(partial(tracking.check, cfg.tracker))
    return found


def missing(loaded: Loaded) -> str:
    """How many of a benchmark's questions cannot be asked, e.g. ``27 of 60 (45 %) cannot be asked``; "" for none."""
    lost = len(loaded.unasked)
    if not lost:
        return ""
    total = lost + len(loaded.samples)
    return f"{lost:,} of {total:,} ({100 * lost / total:.0f} %) cannot be asked"


def _questions(cfg: Scoring, name: str, samples: dict[str, Loaded]) -> None:
    """Adds a benchmark's samples to those of the others."""
    loaded = data.load(cfg, [name])
    for key, one in loaded.items():
        if cfg.missing == "stop" and one.unasked:
            first = one.unasked[0]
            raise UserError(
                f"{key}: {missing(one)}, first {first.id}: {first.reason}; with missing=score they count as unscored"
            )
    samples.update(loaded)


def _placement(cfg: Model) -> None:
    """Raises where precision, attention or quantisation are none, or need what is not installed."""
    from iar.models.placement import placement

    placement(cfg.dtype, cfg.device, cfg.device_map, cfg.attention, cfg.quantization)


def _model(asked: Plan) -> None:
    """Raises where the model's folder is none, or has fewer layers or heads than are asked for."""
    cfg = asked.cfg.model
    count = layers(cfg)
    if count is None:
        return
    place = folder(cfg)
    name = place.resolve().name if place else cfg.name
    each = _config(cfg, _HEADS)
    for c in asked.configurations:
        if each is not None and c.heads > (held := each * (len(c.layers) or count)):
            where = f"layers {', '.join(map(str, c.layers))} have" if c.layers else "it has"
            raise UserError(f"heads={c.heads} of model {name!r}: {where} {held}: take heads={held} or fewer")
    for layer in (layer for c in asked.configurations for layer in (*c.layers, max(0, c.gate_layer))):
        if not 0 <= layer < count:
            raise UserError(f"layer {layer} is outside the model {name!r}: its layers are 0 to {count - 1}")


def layers(cfg: Model) -> int | None:
    """The number of decoder blocks that the config of a model's folder says; None where that does not say it.

    Raises:
        UserError: There is no such folder.
    """
    return _config(cfg, _DEPTHS)


def _config(cfg: Model, keys: Sequence[str]) -> int | None:
    """The first of the keys that the config of a model's folder says, that of its language model before its own."""
    place = folder(cfg)
    if place is None:
        return None
    try:
        content = parse_json((place / "config.json").read_bytes())
    except (OSError, ValueError):
        return None  # loading says what is wrong with it
    return next(_numbers(content, keys), None)


def _numbers(config: Any, keys: Sequence[str]) -> Iterator[int]:
    for part in (*(config.get(name) for name in _TEXTS), config) if isinstance(config, dict) else ():
        for key in keys:
            if isinstance(part, dict) and type(part.get(key)) is int:
                yield part[key]


def folder(cfg: Model) -> Path | None:
    """Where the model lies on this machine; None of a hub id, an installed package, or a GGUF file."""
    path = str(cfg.path)
    if path == "pocket":
        return Path(WEIGHTS)
    if cfg.path is None or cfg.gguf or path.startswith("package:") or path.lower().endswith(".gguf"):
        return None
    from iar.models import source

    return source.folder_of(path)


def _there(cfg: Scoring, name: str) -> bool:
    """Whether vectors need not be made; those on the Hub are looked at when they are fetched."""
    return hub.is_address(cfg.vectors) or (Path(cfg.vectors) / f"{name}.safetensors").exists()


def _extraction(own: Settings, configurations: Sequence[Configuration], missing: bool, found: Found) -> None:
    """What the vectors of one pair set lack: heads that are not read; where they are to be made, prompts for gates."""
    from iar.pipeline.extraction import gate_prompts, vector_files

    found.take(partial(vector_files.check_level, own, configurations))
    if missing and any(c.conditional for c in configurations if c.pairs == own.pairs.name):
        found.take(partial(gate_prompts.read, own))
        found.take(partial(vector_files.check_refusals, own, configurations))


def _pairs(cfg: Settings, deep: bool) -> None:
    if cfg.pairs.collect or cfg.pairs.requests:  # the model makes them itself
        return
    if deep:
        import iar.pairs

        iar.pairs.read(cfg.pairs.to_dict())
    elif cfg.pairs.path is not None and not Path(cfg.pairs.path).expanduser().exists():
        raise UserError(f"no pairs file {cfg.pairs.path}: give pairs.path=FILE")
