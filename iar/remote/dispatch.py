"""Sends requests, a bounded number at a time, and tries again what may pass; each reply is kept before it is put.

Each of ``concurrency`` slots takes the next request and stays with it until it ends, so that an endpoint that says
"too many requests" is asked less. If no connection can be made at all, or no longer, the run stops: see `_Breaker`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

from iar.errors import UserError
from iar.remote import payload
from iar.remote.backoff import Backoff
from iar.remote.budget import Budget, Spend, tokens_in, tokens_of
from iar.remote.cache import Cache, Entry
from iar.remote.completion import Completion
from iar.remote.connection import Connection
from iar.remote.endpoint import Endpoint
from iar.remote.failures import Again, Unstructured
from iar.remote.reply import Reply
from iar.remote.request import Request

Put = Callable[[tuple[str, Reply]], None]


class _Stopped(Exception):
    """Another request found that none can succeed."""


class _NoBudget(Exception):
    """The next attempt could exceed the budget."""


class _Breaker:
    """Ends a run whose server is not there, rather than trying every request in vain.

    Before the server was ever reached, two failed connections a slot are enough (at least three, if there are so many
    attempts); afterwards, as many in a row as all slots have attempts, because a server may be starting again.
    """

    def __init__(self, endpoint: Endpoint, slots: int) -> None:
        self._endpoint = endpoint
        self._most = slots * endpoint.attempts
        self._first = min(max(3, 2 * slots), self._most)
        self._reached = False
        self._in_a_row = 0

    def reached(self) -> None:
        self._reached, self._in_a_row = True, 0

    def unreachable(self, reason: str) -> None:
        """Raises UserError, one line with the URL, when it is enough."""
        self._in_a_row += 1
        if self._in_a_row >= (self._most if self._reached else self._first):
            state = "no longer answers" if self._reached else "cannot be reached"
            raise UserError(
                f"{self._endpoint.base_url} {state} ({reason}): check endpoint.base_url and whether the server of "
                f"{self._endpoint.model} runs; what was answered is kept"
            )


class Dispatch:
    """One call's requests on their way.

    Args:
        requests: Distinct ones with their keys, in the order in which they are sent.
        structured: Whether a schema may be sent as ``response_format``.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        requests: Sequence[tuple[str, Request]],
        cache: Cache,
        budget: Budget,
        structured: bool,
    ) -> None:
        self.structured = structured
        self.refused_schema = ""
        self._endpoint = endpoint
        self._waiting = deque(requests)
        self._cache = cache
        self._budget = budget
        self._slots = min(endpoint.concurrency, len(requests))
        self._breaker = _Breaker(endpoint, self._slots)
        self._in_flight = 0
        self._exhausted = False

    async def run(self, put: Put) -> None:
        """Ask everything.

        Raises:
            UserError: No request can succeed. Requests in flight have ended and their replies are put.
        """
        self._changed = asyncio.Condition()
        self._stop = asyncio.Event()
        self._connection = Connection(self._endpoint)
        slots = [asyncio.ensure_future(self._slot(put)) for _ in range(self._slots)]
        try:
            await asyncio.wait(slots)
        finally:
            self._stop.set()
            for slot in slots:
                slot.cancel()
            ended = await asyncio.gather(*slots, return_exceptions=True)
            await self._connection.close()
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, _Stopped):
                raise error

    async def _slot(self, put: Put) -> None:
        try:
            while self._waiting and not self._stop.is_set():
                key, request = self._waiting.popleft()
                put((key, await self._ask(key, request)))
        except BaseException:  # what one cannot do, the others cannot either
            self._stop.set()
            raise

    async def _ask(self, key: str, request: Request) -> Reply:
        """The request's reply, after as many attempts as it takes."""
        try:
            wanted = await asyncio.to_thread(payload.arguments, self._endpoint, request, True)
        except UserError as error:  # its image cannot be read
            return Reply("", "error", str(error))
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._endpoint.attempts),
            wait=Backoff(key),
            retry=retry_if_exception_type(Again),
            sleep=self._pause,
            reraise=True,
        )
        try:
            return await retrying(self._attempt, key, request, wanted)
        except Again as error:
            tries = f" ({self._endpoint.attempts} attempts)" if self._endpoint.attempts > 1 else ""
            return Reply("", error.failure, f"{error.reason}{tries}")
        except _NoBudget:
            return Reply("", "budget", f"the budget of {self._budget} is spent")

    async def _attempt(self, key: str, request: Request, wanted: dict[str, object]) -> Reply:
        estimated = tokens_in(self._endpoint, request)
        most = Spend.of(self._endpoint, estimated, request.max_tokens)
        await self._reserve(most)
        spent = Spend()
        start = time.perf_counter()
        try:
            completion = await self._send(wanted)
            self._breaker.reached()
            reply = self._keep(key, completion, estimated, round(time.perf_counter() - start, 3))
            spent = Spend.of(self._endpoint, reply.tokens_in, reply.tokens_out)
            return reply
        except Again as error:
            if error.unreachable:
                self._breaker.unreachable(error.reason)
            else:
                self._breaker.reached()
            if error.usage:
                self._cache.add(Entry(key, "", error.failure, error.reason, *error.usage, 0.0))
                spent = Spend.of(self._endpoint, *error.usage)
            raise
        finally:
            await self._release(most, spent)

    async def _send(self, wanted: dict[str, object]) -> Completion:
        if self.structured:
            try:
                return await self._connection.send(wanted)
            except Unstructured as error:
                self.structured, self.refused_schema = False, str(error)
        return await self._connection.send({name: wanted[name] for name in wanted if name != "response_format"})

    def _keep(self, key: str, completion: Completion, estimated: int, seconds: float) -> Reply:
        billed = completion.usage
        if billed is None and completion.failure in ("", "refused", "empty"):
            billed = (estimated, tokens_of(completion.text))
        billed = billed or (0, 0)
        entry = Entry(key, completion.text, completion.failure, completion.reason, *billed, seconds)
        if completion.failure != "error" or any(billed):
            self._cache.add(entry)
        return Reply(completion.text, completion.failure, completion.reason, *billed, seconds)

    async def _reserve(self, most: Spend) -> None:
        async with self._changed:
            while self._exhausted or not self._budget.reserve(most):
                # What is in flight may cost less than was set aside for it. Once a request does not fit, none after it
                # is asked: small ones alone would be a selection.
                if self._in_flight == 0 or self._exhausted:
                    self._exhausted = True
                    self._changed.notify_all()
                    raise _NoBudget
                await self._changed.wait()
            if self._stop.is_set():
                self._budget.settle(most, Spend())
                raise _Stopped
            self._in_flight += 1

    async def _release(self, most: Spend, spent: Spend) -> None:
        self._budget.settle(most, spent)
        self._in_flight -= 1
        async with self._changed:
            self._changed.notify_all()

    async def _pause(self, seconds: float) -> None:
        """Waits before the next attempt; ends at once when the run stops."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except asyncio.TimeoutError:
            return
        raise _Stopped
