"""Requests that wait, and the thread that answers them: those that are there together are computed together."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence

from iar.serve.asked import Limits
from iar.serve.job import Job
from iar.serve.refused import Refused
from iar.terminal.console import console

_TOGETHER = 0.005  # seconds that the first of several requests waits for the others
_LONGEST = 60  # seconds that a client is told to wait


class Queue:
    """First come, first served, as many at once as there is room for.

    Args:
        answer: Computes jobs; every one is over afterwards, or unwanted.

    Attributes:
        answering: Answers that are being computed.
    """

    def __init__(self, answer: Callable[[Sequence[Job]], None], limits: Limits) -> None:
        self.limits = limits
        self.answering = 0
        self._answer = answer
        self._jobs: deque[Job] = deque()
        self._change = threading.Condition()
        self._stopped = False
        self._pace = 0.1  # seconds an answer, lately
        self._thread = threading.Thread(target=self._work, name="iar.serve", daemon=True)

    @property
    def waiting(self) -> int:
        """Answers that wait."""
        with self._change:
            return sum(len(job.choices) for job in self._jobs)

    @property
    def stopped(self) -> bool:
        return self._stopped

    def start(self) -> None:
        self._thread.start()

    def put(self, job: Job) -> None:
        """Raises:
        Refused: There is no room (429, with the seconds after which there may be), or the server is stopping (503).
        """
        with self._change:
            self._check(len(job.choices), job.asked.size)
            self._jobs.append(job)
            self._change.notify()

    def check(self) -> None:
        """Raises as `put` where there is no room for a request of any size."""
        with self._change:
            self._check(1, 0)

    def _check(self, answers: int, size: int) -> None:
        if self._stopped:
            raise Refused("the server is stopping: ask again when it is back", 503, "stopping", retry_after=5)
        waiting = sum(len(job.choices) for job in self._jobs)
        held = sum(job.asked.size for job in self._jobs)
        if self._jobs and (waiting + answers > self.limits.waiting or held + size > self.limits.waiting_bytes):
            after = max(1, min(_LONGEST, round((waiting + self.answering) * self._pace)))
            raise Refused(
                f"{waiting} answers are waiting already: ask again in {after} s",
                429,
                "rate_limit_exceeded",
                None,
                after,
            )

    def drop(self, job: Job) -> None:
        """Nobody waits for it any more."""
        job.cancelled = True
        with self._change:
            if job in self._jobs:
                self._jobs.remove(job)

    def stop(self) -> None:
        """What is computed goes on to its end; what waits is refused, as is everything that comes."""
        with self._change:
            self._stopped = True
            left, self._jobs = list(self._jobs), deque()
            self._change.notify()
        for job in left:
            job.refuse(Refused("the server is stopping: ask again when it is back", 503, "stopping", retry_after=5))

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _work(self) -> None:
        while jobs := self._next():
            start = time.monotonic()
            answers = sum(len(job.choices) for job in jobs)
            try:
                self._answer(jobs)
            except Exception as error:  # whatever it is: the next request may well be answered
                console.print(traceback.format_exc())
                for job in jobs:
                    if not job.over:
                        job.refuse(Refused(f"the server failed: {type(error).__name__}", 500))
            self._pace += 0.3 * ((time.monotonic() - start) / answers - self._pace)
            self.answering = 0

    def _next(self) -> list[Job]:
        """The next jobs that are computed together; none when it is stopped."""
        taken: list[Job] = []
        while not taken:
            with self._change:
                self._change.wait_for(lambda: self._jobs or self._stopped)
                if self._stopped:
                    break
            time.sleep(_TOGETHER)
            with self._change:
                rows = 0
                while self._jobs and (not taken or rows + len(self._jobs[0].choices) <= self.limits.rows):
                    taken.append(self._jobs.popleft())
                    rows += len(taken[-1].choices)
                self.answering = rows
        return taken
