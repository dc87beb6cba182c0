"""Where the work is done: in this process (``executor=local``) or by workers of Ray (``executor=ray``).

The results are the same, and so are the records' keys: a run that was begun with one goes on with the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from iar.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from iar.workers.pool import Pool

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
            UserError: As `iar.workers.pool.Pool`.
        """
        from iar.workers.connection import connect
        from iar.workers.pool import Pool

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
