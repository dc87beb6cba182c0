"""The model that the settings name, ready to answer: loaded with its vectors, or at the other end of a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import benchmark
from benchmark.sample import Loaded
from iar.errors import UserError, did_you_mean
from iar.generation import Answering
from iar.pipeline import composing, executor
from iar.prompting import Compose
from iar.revision.configuration import Configuration

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from iar.generation import RemoteEngine
    from iar.pipeline.plan import Plan
    from iar.remote.budget import Budget, Estimate

KINDS = ("local", "endpoint")


def answering(plan: Plan, configurations: Sequence[Configuration] | None = None) -> Answering:
    """What answers the plan's samples under its configurations (or those given); vectors are made where missing.

    Raises:
        UserError: The model cannot be loaded, its endpoint's settings are wrong, or it cannot do what a configuration
            asks.
    """
    cfg, wanted = plan.cfg, plan.configurations if configurations is None else configurations
    compose = composing.composer(cfg, wanted)
    if executor.kind(cfg) == "ray":
        return executor.answering(plan, wanted, compose)
    if kind(cfg) == "endpoint":
        return _remote(cfg, wanted, compose)
    # Here, because these load torch, and a model at an endpoint needs none.
    from iar import models
    from iar.generation import Engine
    from iar.pipeline import budgeting, extraction
    from iar.pipeline.plan import check

    loaded = models.load_from(cfg.model)
    check(wanted, loaded)
    vectors = extraction.ensure(cfg, loaded, wanted, plan.pairs)
    strengths = budgeting.resolve(cfg, loaded, wanted, vectors)
    return Engine(loaded, vectors, cfg.batch_size, compose=compose, strengths=strengths, **cfg.generation)


def kind(cfg: DictConfig) -> str:
    """Where the model runs: ``local`` (also where the settings do not say) or ``endpoint``.

    Raises:
        UserError: Neither.
    """
    found = str(cfg.model.get("kind") or "local")
    if found not in KINDS:
        raise UserError(f"unknown model.kind {found!r}: {did_you_mean(found, KINDS)}")
    return found


def _remote(cfg: DictConfig, configurations: Sequence[Configuration], compose: Compose) -> RemoteEngine:
    from iar.generation import RemoteEngine
    from iar.remote import Budget, Client, Endpoint

    limits = cfg.get("budget") or {}
    client = Client(
        Endpoint.from_settings(cfg.model.endpoint),
        cache=Path(cfg.cache) if cfg.get("cache") else None,
        budget=Budget(limits.get("usd"), limits.get("tokens")),
        label=f"{cfg.model.name}: requests",
    )
    engine = RemoteEngine(client, compose, int(cfg.model.get("thinking_tokens") or 0))
    for configuration in configurations:
        engine.check(configuration)
    return engine


def budget(engine: Answering) -> Budget | None:
    """What a model at an endpoint may still spend, for the judge to share; None for a model on this machine."""
    from iar.generation import RemoteEngine

    return engine.client.budget if isinstance(engine, RemoteEngine) else None


def estimates(
    engine: Answering, cfg: DictConfig, asked: Mapping[str, Loaded], configurations: Sequence[Configuration]
) -> dict[str, Estimate]:
    """Protocol -> what its questions would cost at an endpoint; nothing is sent. Empty for a model on this machine.

    Args:
        asked: As `iar.pipeline.scoring.score` takes it.
    """
    from iar.generation import RemoteEngine

    if not isinstance(engine, RemoteEngine):
        return {}
    from iar.remote.budget import Estimate

    return {
        name: sum(
            (
                engine.estimate(loaded.samples, alike, length)
                for length, alike in composing.by_length(cfg, benchmark.protocol(name), configurations)
            ),
            Estimate(),
        )
        for name, loaded in asked.items()
    }
