"""Where the work is done: in this process (``executor=local``) or by workers of Ray (``executor=ray``).

The results are the same, and so are the records' keys: a run that was begun with one goes on with the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf, open_dict

from iar.errors import UserError, did_you_mean
from iar.prompting import Compose
from iar.revision.configuration import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from iar.generation import Answering
    from iar.generation.ray_engine import RayEngine
    from iar.generation.ray_pool import Pool
    from iar.pipeline.plan import Plan
    from iar.vectors import VectorSet

KINDS = ("local", "ray")


@dataclass(frozen=True)
class Workers:
    """The settings of conf/executor/ray.yaml.

    Attributes:
        workers: How many; None: as many as there is room for.
        gpus: Of a worker; None: 1 where the model takes GPUs and there are any.
        cpus: Of a worker, and its threads.
        address: Of the cluster; None: Ray is started on this machine.
        shard: Samples or pairs that a worker is given at a time, at most.
        attempts: At one shard.
    """

    workers: int | None = None
    gpus: float | None = None
    cpus: int = 1
    address: str | None = None
    shard: int = 64
    attempts: int = 3

    def start(self, make: Callable[[], Any], cfg: DictConfig) -> Pool:
        """The workers, each of which holds what ``make`` makes of the model ``cfg.model``.

        Raises:
            UserError: As `iar.generation.ray_pool.Pool`.
        """
        from iar.generation.ray_connection import connect
        from iar.generation.ray_pool import Pool

        gpus = self.gpus
        if gpus is None:
            ray = connect(self.address, None if self.workers is None else self.workers * self.cpus)
            gpus = 0 if cfg.model.device == "cpu" else min(1, int(ray.cluster_resources().get("GPU", 0)))
        return Pool(make, self.workers, cpus=self.cpus, gpus=gpus, address=self.address, attempts=self.attempts)


def kind(cfg: DictConfig) -> str:
    """``local`` (also where the settings do not say) or ``ray``.

    Raises:
        UserError: Neither, or ``ray`` for what has no use of it.
    """
    found = str((cfg.get("executor") or {}).get("kind") or "local")
    if found not in KINDS:
        raise UserError(f"unknown executor.kind {found!r}: {did_you_mean(found, KINDS)}")
    if found == "ray" and cfg.model.get("kind") == "endpoint":
        raise UserError(
            f"model {cfg.model.name} runs at an endpoint, which is asked from here: leave executor=ray out "
            "(model.endpoint.concurrency says how many requests at once)"
        )
    if found == "ray" and cfg.get("shard") is not None:
        raise UserError(f"shard={cfg.shard} is one part of the work and executor=ray does all of it: leave one out")
    return found


def workers(cfg: DictConfig) -> Workers:
    """The settings of ``executor=ray``.

    Raises:
        UserError: A value of the wrong kind.
    """
    settings = cfg.executor
    for name, least, optional in (
        ("workers", 1, True), ("cpus_per_worker", 1, False), ("shard", 1, False), ("attempts", 1, False),
    ):  # fmt: skip
        value = settings.get(name)
        if (value is None and optional) or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            continue
        raise UserError(
            f"executor.{name}={value} is not a whole number from {least}: give one, such as executor.{name}={least + 1}"
        )
    gpus = settings.get("gpus_per_worker")
    number = isinstance(gpus, (int, float)) and not isinstance(gpus, bool) and gpus >= 0
    if gpus is not None and not (number and (gpus <= 1 or float(gpus).is_integer())):
        raise UserError(
            f"executor.gpus_per_worker={gpus} is no number of GPUs: give one, such as 1 or 4, a part of one such as "
            "0.5, or null"
        )
    address = settings.get("address")
    return Workers(
        settings.workers,
        gpus,
        settings.cpus_per_worker,
        None if address is None else str(address),
        settings.shard,
        settings.attempts,
    )


def answering(plan: Plan, configurations: Sequence[Configuration], compose: Compose) -> RayEngine:
    """Workers of Ray that answer the plan's samples; vectors are made by such workers first where they are missing.

    Raises:
        UserError: A setting is wrong, Ray does not start, or what `iar.pipeline.answering.answering` raises.
    """
    from iar.generation.ray_engine import RayEngine
    from iar.pipeline import ray_extraction

    cfg, settings = plan.cfg, workers(plan.cfg)
    ray_extraction.ensure(cfg, configurations, plan.pairs, settings)
    pool = settings.start(partial(_engine, _local(plan), tuple(configurations)), cfg)
    engine = RayEngine(pool, compose, settings.shard)
    engine.describe()  # an error in loading the model comes before the run folder is made
    return engine


def extract(cfg: DictConfig, wanted: Sequence[Configuration]) -> dict[str, VectorSet]:
    """`iar.pipeline.extraction.extract` in this process or by workers, as the settings say.

    Raises:
        UserError: The model cannot be loaded, the pairs cannot be read, or a setting is wrong.
    """
    if kind(cfg) == "ray":
        from iar.pipeline import ray_extraction

        return ray_extraction.extract(cfg, wanted, workers(cfg))
    from iar import models
    from iar.pipeline import extraction

    return extraction.extract(cfg, models.load_from(cfg.model), wanted)


def _local(plan: Plan) -> Plan:
    """The same plan for one process, without what only the command that has it can resolve."""
    from iar.pipeline.plan import Plan

    return Plan(local(plan.cfg), plan.configurations, {name: local(own) for name, own in plan.pairs.items()})


def local(cfg: DictConfig) -> DictConfig:
    """The same settings, resolved, for one process."""
    resolved = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
    assert isinstance(resolved, DictConfig)
    with open_dict(resolved):
        resolved.executor = {"kind": "local"}
    return resolved


def _engine(plan: Plan, configurations: Sequence[Configuration]) -> Answering:
    """What a worker holds. It makes no vectors of its own: those of two need not be the same to the last bit."""
    from iar.pipeline.answering import answering

    require(plan.cfg, {c.source: c for c in configurations if c.steered})
    return answering(plan, configurations)


def require(cfg: DictConfig, sources: Mapping[str, object]) -> None:
    """Raises where a worker cannot see the vectors.

    Raises:
        UserError: A file is missing.
    """
    import socket

    from iar.pipeline import extraction

    for source in sources:
        if not (path := extraction.path(cfg, source)).exists():
            raise UserError(
                f"the worker on {socket.gethostname()} finds no vectors {path}: vectors=DIR must be a folder that all "
                "machines share"
            )
