"""The model that the settings name, ready to answer: loaded with its vectors, or at the other end of a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import benchmark
from benchmark.sample import Loaded
from iar.generation import Answering
from iar.pipeline.evaluation import fluency, prompts
from iar.pipeline.experiment.plan import Plan
from iar.pipeline.experiment.settings import Executor, Scoring, on_ray
from iar.prompting import Compose
from iar.revision.configuration import Configuration

if TYPE_CHECKING:
    from iar.generation import RemoteEngine
    from iar.generation.worker_engine import RayEngine
    from iar.models.checkpoint import LoadedModel
    from iar.remote.budget import Budget, Estimate


def answering(
    plan: Plan, configurations: Sequence[Configuration] | None = None, loaded: LoadedModel | None = None
) -> Answering:
    """What answers the plan's samples under its configurations (or those given); vectors are made where missing.

    Args:
        loaded: The model that the settings name, where it is loaded already.

    Raises:
        UserError: The model cannot be loaded, its endpoint's settings are wrong, or it cannot do what a configuration
            asks, or tell how fluent its answers are.
    """
    cfg, wanted = plan.cfg, plan.configurations if configurations is None else configurations
    fluency.check(cfg)
    compose = prompts.composer(cfg, wanted)
    if on_ray(cfg):
        return _on_workers(plan, wanted, compose)
    if cfg.model.kind == "endpoint":
        return _remote(cfg, wanted, compose)
    # Here, because these load torch, and a model at an endpoint needs none.
    from iar import models
    from iar.generation import Engine
    from iar.pipeline.experiment.plan import check
    from iar.pipeline.extraction import kl_strength, vector_files

    loaded = models.load_from(cfg.model) if loaded is None else loaded
    check(wanted, loaded)
    vectors = vector_files.ensure(cfg, loaded, wanted, plan.pairs)
    strengths = kl_strength.resolve(cfg, loaded, wanted, vectors)
    return Engine(loaded, vectors, cfg.batch_size, compose=compose, strengths=strengths, **cfg.generation.to_dict())


def _on_workers(plan: Plan, configurations: Sequence[Configuration], compose: Compose) -> RayEngine:
    """Workers of Ray that answer the plan's samples; vectors are made by such workers first where they are missing.

    Raises:
        UserError: A setting is wrong, Ray does not start, or what `answering` raises.
    """
    from iar.generation.worker_engine import RayEngine
    from iar.pipeline.extraction import on_workers

    settings = plan.cfg.executor.pool()
    make = partial(_engine, _local(plan), tuple(configurations))
    if pool := on_workers.ensure(plan.cfg, configurations, plan.pairs, settings):
        pool.change(make)
    else:
        pool = settings.start(make, plan.cfg.model.device)
    engine = RayEngine(pool, compose, settings.shard)
    engine.describe()  # an error in loading the model comes before the run folder is made
    return engine


def _local(plan: Plan) -> Plan:
    """The same plan for one process."""
    here = Executor()
    pairs = {name: own.replace(executor=here) for name, own in plan.pairs.items()}
    return Plan(plan.cfg.replace(executor=here), plan.configurations, pairs)


def _engine(plan: Plan, configurations: Sequence[Configuration]) -> Answering:
    """What a worker holds. It makes no vectors of its own: those of two need not be the same to the last bit."""
    from iar.pipeline.extraction import on_workers

    on_workers.require(plan.cfg, {c.source: c for c in configurations if c.steered})
    return answering(plan, configurations)


def _remote(cfg: Scoring, configurations: Sequence[Configuration], compose: Compose) -> RemoteEngine:
    from iar.generation import RemoteEngine
    from iar.remote import Budget, Client, Endpoint

    client = Client(
        Endpoint.from_settings(cfg.model.endpoint or {}),
        cache=Path(cfg.cache) if cfg.cache else None,
        budget=Budget(cfg.budget.usd, cfg.budget.tokens),
        label=f"{cfg.model.name}: requests",
    )
    engine = RemoteEngine(client, compose, cfg.model.thinking_tokens or 0)
    for configuration in configurations:
        engine.check(configuration)
    return engine


def budget(engine: Answering) -> Budget | None:
    """What a model at an endpoint may still spend, for the judge to share; None for a model on this machine."""
    from iar.generation import RemoteEngine

    return engine.client.budget if isinstance(engine, RemoteEngine) else None


def estimates(
    engine: Answering, cfg: Scoring, asked: Mapping[str, Loaded], configurations: Sequence[Configuration]
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
