"""What the settings say around a question, and how long its answer may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from benchmark.protocol import Protocol
from benchmark.sample import Loaded
from iar.errors import UserError
from iar.pipeline.experiment.settings import Scoring
from iar.prompting import Compose, cot, few_shot
from iar.prompting.composer import Composer
from iar.revision.configuration import Configuration
from iar.terminal.console import console


def composer(cfg: Scoring, configurations: Iterable[Configuration]) -> Composer:
    """What says things for a run; the demonstrations are read where a configuration shows any.

    Raises:
        UserError: No demonstrations or too few, or more images than the model takes (``model.max_images``); an
            attack that begins the answer of a model at an endpoint.
    """
    attacking = cfg.attack or ""
    if attacking == "prefix" and cfg.model.kind == "endpoint":
        raise UserError(
            "attack=prefix begins the answer itself, which an endpoint does not offer: attack=system or turns"
        )
    showing = [configuration for configuration in configurations if configuration.shots]
    if not showing:
        return Composer(attack=attacking)
    if not cfg.demonstrations:
        raise UserError(f"method fewshot needs demonstrations: {few_shot.ASK}")
    demonstrations = few_shot.read(Path(cfg.demonstrations).expanduser())
    most = cfg.model.max_images
    for configuration in showing:
        demonstrations.require(configuration.shots)
        shown = sum(
            side.image is not None for pair in demonstrations.pairs[: configuration.shots] for side in pair.sides
        )
        if most is not None and shown + 1 > most:
            raise UserError(
                f"{configuration.name} shows {shown + 1} images and model {cfg.model.name} takes {most} "
                "(model.max_images): leave fewshot out, or take a model that reads several"
            )
    return Composer(demonstrations, attacking)


def length(cfg: Scoring, protocol: Protocol, configuration: Configuration) -> int:
    """Tokens that an answer may have: the protocol's, or the model's where these are fewer; with a chain of thought the
    tokens of the reasoning on top."""
    own = min(protocol.max_new_tokens, cfg.model.max_new_tokens)
    return own + (cfg.reasoning_tokens if cot.PART in configuration.prompting else 0)


def by_length(
    cfg: Scoring, protocol: Protocol, configurations: Sequence[Configuration]
) -> list[tuple[int, list[Configuration]]]:
    """The configurations that are asked together, shortest answers first; each group in its order."""
    ordered = sorted(configurations, key=lambda c: length(cfg, protocol, c))
    return [(most, list(group)) for most, group in groupby(ordered, key=lambda c: length(cfg, protocol, c))]


def report(compose: Compose, asked: Mapping[str, Loaded], configurations: Sequence[Configuration]) -> None:
    """Says of how many questions the demonstrations are not of their own category though that was asked for."""
    if not isinstance(compose, Composer):
        return
    for configuration in configurations:
        for name, loaded in asked.items():
            if count := compose.by_seed(loaded.samples, configuration):
                console.print(
                    f"{name}, {configuration.name}: {count:,} of {len(loaded.samples):,} questions have too few "
                    "demonstrations of their category: the rest is chosen by seed"
                )
