"""Workers of Ray: processes, on this machine or on others, that each hold something big and are asked over and over.

A worker that is lost (killed, out of memory, its machine gone, or stopped by any error that is not the user's) costs
what it was doing: another one is started in its place, and the task is given again, a bounded number of times.
"""

from __future__ import annotations

import gc
import os
import re
import socket
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.errors import DataError
from iar.errors import UserError
from iar.terminal.console import console
from iar.workers.connection import connect, room

# What a worker on another machine must see as this process does.
_PASSED = ("SOURCE_DATE_EPOCH", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
PATIENCE = 60.0  # seconds without a worker, after which that is said


@dataclass(frozen=True)
class Failed:
    """What comes back for a task that no worker lived to finish, with the cause of the last failure."""

    cause: str


@dataclass(frozen=True)
class _Refused:
    """A user's error, which would be the same on any worker."""

    message: str


class _Actor:
    """Runs in a process of its own."""

    def __init__(self, make: Callable[[], Any], folder: str, environment: Mapping[str, str], threads: int) -> None:
        self.make, self.folder, self.environment, self.threads = make, folder, environment, threads
        self.held: Any = None

    def start(self, make: Callable[[], Any] | None = None) -> int | _Refused:
        """Makes what it holds, or other things from now on; its process id."""
        if make is not None:
            self.make, self.held = make, None
            gc.collect()
            if "torch" in sys.modules:
                sys.modules["torch"].cuda.empty_cache()
        os.environ.update(self.environment)
        try:
            os.chdir(self.folder)  # relative paths of the settings mean the same everywhere
        except OSError as error:
            return _Refused(
                f"the worker on {socket.gethostname()} cannot open {self.folder}: the folder that a command is "
                f"started in must be shared by all machines ({error.strerror})"
            )
        try:
            self.held = self.make()
        except (UserError, DataError) as error:
            return _Refused(str(error))
        if "torch" in sys.modules:
            import torch

            torch.set_num_threads(self.threads)
        return os.getpid()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(self.held, *arguments)
        except (UserError, DataError) as error:
            return _Refused(str(error))


@dataclass
class _Worker:
    """An actor; ``starting`` until it holds what it is to hold."""

    actor: Any
    starting: Any
    pid: int = 0


@dataclass
class _Flight:
    """What is being done: reference of the result -> who does it, and which task it is."""

    tasks: dict[Any, tuple[_Worker, int]] = field(default_factory=dict)

    def idle(self, workers: Sequence[_Worker]) -> list[_Worker]:
        busy = {id(worker) for worker, _ in self.tasks.values()}
        return [worker for worker in workers if not worker.starting and id(worker) not in busy]


class Pool:
    """A number of workers that hold the same.

    Args:
        make: Makes what a worker holds, in the worker's process; it must be picklable.
        workers: How many; None: as many as there is room for.
        cpus: Of a worker; torch has as many threads.
        gpus: Of a worker.
        address: None starts Ray on this machine, where it does not run in this process already; ``auto`` joins the
            cluster that this machine belongs to, ``HOST:PORT`` another one.
        attempts: At one task.

    Attributes:
        lost: How many workers were lost.

    Raises:
        UserError: Ray is not installed or not to be reached, or this machine has no room for so many workers.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        workers: int | None = None,
        *,
        cpus: int = 1,
        gpus: float = 0,
        address: str | None = None,
        attempts: int = 3,
    ) -> None:
        ray = connect(address, None if workers is None else workers * cpus)
        self.size = room(ray.cluster_resources(), workers, cpus, gpus, may_grow=address is not None)
        self.attempts, self.lost = attempts, 0
        self._ray = ray
        self._failures = 0  # in a row
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
        if not gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves all of them visible, and all workers would take one
        self._arguments = make, os.getcwd(), environment, cpus
        self._class = ray.remote(_Actor).options(num_cpus=cpus, num_gpus=gpus, max_restarts=0)
        self.workers = [self._new() for _ in range(self.size)]
        # Without it the workers of a pool that an error holds on to would keep their GPUs.
        self.close = weakref.finalize(self, _kill, ray, self.workers)

    def change(self, make: Callable[[], Any]) -> None:
        """What the workers hold from now on: their processes stay, which have imported most of what it takes."""
        self._arguments = make, *self._arguments[1:]
        for worker in self.workers:
            worker.starting = worker.actor.start.remote(make)

    def first(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What ``function(held, *arguments)`` returns in some worker.

        Raises:
            UserError: What the function raises as one; no worker lived to finish it.
        """
        _, result = next(self.map(function, [arguments]))
        if isinstance(result, Failed):
            raise UserError(f"no worker of Ray lived to answer: {result.cause}")
        return result

    def map(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """(index of the task, what ``function(held, *task)`` returns or `Failed`), each as soon as it is there.

        Raises:
            UserError: What the function or the making of what is held raises as one; no worker gets anything done;
                Ray is gone.
        """
        from ray.exceptions import RayActorError, RayError, RayTaskError

        waiting, tried, flight = deque(range(len(tasks))), [0] * len(tasks), _Flight()
        left = len(tasks)
        while left:
            for worker in flight.idle(self.workers)[: len(waiting)]:
                index = waiting.popleft()
                flight.tasks[worker.actor.call.remote(function, *tasks[index])] = worker, index
            starting = {worker.starting: worker for worker in self.workers if worker.starting}
            try:
                ready = self._next([*flight.tasks, *starting], at_work=bool(flight.tasks))
            except RayError as error:
                raise UserError(_gone(error)) from error
            at_work, index = flight.tasks.pop(ready, (None, -1))
            worker = at_work or starting[ready]
            try:
                result = self._ray.get(ready)
            except (RayActorError, RayTaskError) as error:
                cause = _cause(error)
                self._replace(worker, cause, at_work is None)
                if at_work is None:
                    continue
                tried[index] += 1
                if tried[index] < self.attempts:
                    waiting.appendleft(index)
                    continue
                result = Failed(cause)
            except RayError as error:
                raise UserError(_gone(error)) from error
            else:
                if isinstance(result, _Refused):
                    raise UserError(result.message)
                self._failures = 0 if at_work else self._failures
                if at_work is None:
                    worker.starting, worker.pid = None, result
                    continue
            left -= 1
            yield index, result

    def _next(self, references: list[Any], at_work: bool) -> Any:
        """The first reference whose result is there."""
        found, _ = self._ray.wait(references, num_returns=1, timeout=None if at_work else PATIENCE)
        if not found:
            console.print("waiting for workers of Ray: they load the model, or others use the machines")
            found, _ = self._ray.wait(references, num_returns=1)
        return found[0]

    def _new(self) -> _Worker:
        actor = self._class.remote(*self._arguments)
        return _Worker(actor, actor.start.remote())

    def _replace(self, worker: _Worker, cause: str, starting: bool) -> None:
        """Raises UserError when nothing but failures came back for a while."""
        self._ray.kill(worker.actor)  # it may be alive, but what stopped it may also be a broken device
        self.lost, self._failures = self.lost + 1, self._failures + 1
        doing = "while it loaded the model" if starting else "at work"
        if self._failures >= max(3, self.attempts) * max(2, len(self.workers)):
            raise UserError(
                f"{self._failures} workers of Ray were lost in a row, the last one {doing}: {cause}; "
                "executor=local shows the whole error, fewer workers need less memory"
            )
        console.print(f"a worker of Ray was lost {doing}, another takes its place: {cause}")
        self.workers[self.workers.index(worker)] = self._new()


def _kill(ray: Any, workers: list[_Worker]) -> None:
    if ray.is_initialized():
        for worker in workers:
            ray.kill(worker.actor)


def _cause(error: Exception) -> str:
    """Ray's paragraphs in a line, without what changes from run to run."""
    own = getattr(error, "cause", None)
    if isinstance(own, BaseException):  # raised in the worker's code
        text = next(iter(str(own).splitlines()), "")
        return f"{type(own).__name__}: {text}" if text else type(own).__name__
    detail = re.search(r"Worker exit detail: (.*?)\. ", str(error), re.DOTALL)
    if detail is None or "connection error code 2" in detail[1]:
        return "its process ended (killed, out of memory, or crashed)"
    return " ".join(detail[1].split())


def _gone(error: Exception) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"Ray cannot be reached any more: {reason}; what was answered is kept, the same command goes on"
