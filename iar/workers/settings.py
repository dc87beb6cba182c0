"""Workers of Ray (``executor=ray``) instead of this process.

The results are the same, and so are the records' keys: a run that was begun with one goes on with the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iar.workers.pool import Pool


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

    def start(self, make: Callable[[], Any], device: str) -> Pool:
        """The workers, each of which holds what ``make`` makes.

        Args:
            device: Of the model: on ``cpu`` a worker takes no GPU.

        Raises:
            UserError: As `iar.workers.pool.Pool`.
        """
        from iar.workers.connection import connect
        from iar.workers.pool import Pool

        gpus = self.gpus
        if gpus is None:
            ray = connect(self.address, None if self.workers is None else self.workers * self.cpus)
            gpus = 0 if device == "cpu" else min(1, int(ray.cluster_resources().get("GPU", 0)))
        return Pool(make, self.workers, cpus=self.cpus, gpus=gpus, address=self.address, attempts=self.attempts)
