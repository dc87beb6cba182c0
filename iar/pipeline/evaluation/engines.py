"""The model that the settings name, ready to answer: loaded with its vectors, or at the other end of a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf, open_dict

import benchmark
from benchmark.sample import Loaded
from iar.errors import UserError, did_you_mean
from iar.generation import Answering
from iar.pipeline.evaluation import prompts
from iar.pipeline.experiment.plan import Plan
from iar.prompting import Compose
from iar.revision.configuration import Configuration
from iar.workers import settings as workers

if TYPE_CHECKING:
    from iar.generation import RemoteEngine
    from iar.generation.worker_engine import RayEngine
    from iar.remote.budget import Budget, Estimate

KINDS = ("local", "endpoint")


def answering(plan: Plan, configurations: Sequence[Configuration] | None = None) -> Answering:
    """What answers the plan's samples under its configurations (or those given); vectors are made where missing.

    Raises:
        UserError: The model cannot be loaded, its endpoint's settings are wrong, or it cannot do what a configuration
            asks.
    """
    cfg, wanted = plan.cfg, plan.configurations if configurations is None else configurations
    compose = prompts.composer(cfg, wanted)
    if workers.kind(cfg) == "ray":
        return _on_workers(plan, wanted, compose)
    if kind(cfg) == "endpoint":
        return _remote(cfg, wanted, compose)
    # Here, because these load torch, and a model at an endpoint needs none.
    from iar import models
    from iar.generation import Engine
    from iar.pipeline.experiment.plan import check
    from iar.pipeline.extraction import kl_strength, vector_files

    loaded = models.load_from(cfg.model)
    check(wanted, loaded)
    vectors = vector_files.ensure(cfg, loaded, wanted, plan.pairs)
    strengths = kl_strength.resolve(cfg, loaded, wanted, vectors)
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


def _on_workers(plan: Plan, configurations: Sequence[Configuration], compose: Compose) -> RayEngine:
    """Workers of Ray that answer the plan's samples; vectors are made by such workers first where they are missing.

    Raises:
        UserError: A setting is wrong, Ray does not start, or what `answering` raises.
    """
    from iar.generation.worker_engine import RayEngine
    from iar.pipeline.extraction import on_workers

    cfg, settings = plan.cfg, workers.workers(plan.cfg)
    on_workers.ensure(cfg, configurations, plan.pairs, settings)
    pool = settings.start(partial(_engine, _local(plan), tuple(configurations)), cfg)
    engine = RayEngine(pool, compose, settings.shard)
    engine.describe()  # an error in loading the model comes before the run folder is made
    return engine


def _local(plan: Plan) -> Plan:
    """The same plan for one process, without what only the command that has it can resolve."""
    return Plan(
        _one_process(plan.cfg), plan.configurations, {name: _one_process(own) for name, own in plan.pairs.items()}
    )


def _one_process(cfg: DictConfig) -> DictConfig:
    """The same settings, resolved, for one process."""
    resolved = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
    assert isinstance(resolved, DictConfig)
    with open_dict(resolved):
        resolved.executor = {"kind": "local"}
    return resolved


def _engine(plan: Plan, configurations: Sequence[Configuration]) -> Answering:
    """What a worker holds. It makes no vectors of its own: those of two need not be the same to the last bit."""
    from iar.pipeline.extraction import on_workers

    on_workers.require(plan.cfg, {c.source: c for c in configurations if c.steered})
    return answering(plan, configurations)


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
        asked: As `iar.pipeline.evaluation.score.score` takes it.
    """
    from iar.generation import RemoteEngine

    if not isinstance(engine, RemoteEngine):
        return {}
    from iar.remote.budget import Estimate

    return {
        name: sum(
            (
                engine.estimate(loaded.samples, alike, length)
                for length, alike in prompts.by_length(cfg, benchmark.protocol(name), configurations)
            ),
            Estimate(),
        )
        for name, loaded in asked.items()
    }
