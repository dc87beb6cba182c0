"""What requests cost, and a limit to it.

A budget counts what the requests of one command cost, whether they were paid now or by an earlier run of the same
command whose replies are in the cache: the same command again does not spend the budget a second time, and one with a
larger budget goes on. Before a request is sent, the most that it can cost is set aside, so that requests in flight
cannot together exceed the budget; what it did cost is counted when its reply arrives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from threading import Lock

from iar.errors import UserError
from iar.remote.endpoint import Endpoint
from iar.remote.request import Request

CHARACTERS_A_TOKEN = 4
"""Of English text, about; used where an endpoint does not say how many tokens it counted."""


@dataclass(frozen=True)
class Spend:
    """Tokens read and written, and what they cost in USD; None where the prices are unknown."""

    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = 0.0

    @classmethod
    def of(cls, endpoint: Endpoint, tokens_in: int, tokens_out: int) -> Spend:
        """That many tokens at the endpoint's prices."""
        return cls(tokens_in, tokens_out, endpoint.cost(tokens_in, tokens_out))

    def __add__(self, other: Spend) -> Spend:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Spend(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, usd)

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    def __str__(self) -> str:
        return f"{self.tokens:,} tokens" if self.usd is None else f"${self.usd:.4f}"


@dataclass(frozen=True)
class Estimate:
    """What asking would cost; add the estimates of several clients.

    Attributes:
        requests: To be sent: distinct, and not in the cache.
        cached: Distinct requests whose replies are in the cache.
        tokens_in: Characters / 4, plus the endpoint's ``image_tokens`` an image.
        tokens_out: At most: ``max_tokens`` each.
        usd: At most, retries of failed requests apart; None where prices are unknown.
    """

    requests: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.requests + other.requests,
            self.cached + other.cached,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
        )

    def __str__(self) -> str:
        cost = "unknown prices" if self.usd is None else f"at most ${self.usd:.4f}"
        return (
            f"{self.requests:,} requests to send ({self.cached:,} in the cache), about {self.tokens_in:,} tokens in, "
            f"at most {self.tokens_out:,} out, {cost}"
        )


def tokens_of(text: str) -> int:
    """About how many tokens a text has: characters / 4, rounded up."""
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)


def tokens_in(endpoint: Endpoint, request: Request) -> int:
    """About how many tokens a request has, its images and its schema included."""
    said = sum(tokens_of(turn.text) for turn in request.conversation)
    schema = tokens_of(str(dict(request.schema))) if request.schema and endpoint.structured else 0
    return said + schema + request.images * endpoint.image_tokens


@dataclass
class Budget:
    """A limit to what the requests of a command may cost; share one among the clients of a command.

    Attributes:
        usd: At most so many US dollars; None: no limit.
        tokens: At most so many tokens, read and written together; None: no limit.

    Raises:
        UserError: A negative limit.
    """

    usd: float | None = None
    tokens: int | None = None
    _spent: Spend = field(default_factory=Spend, init=False, repr=False)
    _reserved: Spend = field(default_factory=Spend, init=False, repr=False)
    _counted: set[str] = field(default_factory=set, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("usd", "tokens"):
            limit = getattr(self, name)
            if limit is not None and (isinstance(limit, (bool, str)) or not limit >= 0):
                raise UserError(f"budget.{name}={limit!r}: a number from 0, or null for no limit")

    @property
    def spent(self) -> Spend:
        """What was counted until now."""
        return self._spent

    def check(self, endpoint: Endpoint) -> None:
        """Raises UserError where a limit in USD meets an endpoint without prices."""
        if self.usd is not None and endpoint.price_in is None:
            raise UserError(
                f"budget.usd needs the prices of {endpoint.model}: set endpoint.price_in and endpoint.price_out (USD "
                "per million tokens, 0 where it costs nothing), or use budget.tokens"
            )

    def earlier(self, key: str, spend: Spend) -> None:
        """Count what an earlier run spent on a request; a second time for the same request counts nothing."""
        with self._lock:
            if key not in self._counted:
                self._counted.add(key)
                self._spent += spend

    def reserve(self, most: Spend) -> bool:
        """Set aside the most that a request can cost; False, and nothing set aside, where it does not fit."""
        with self._lock:
            after = self._spent + self._reserved + most
            if self.tokens is not None and after.tokens > self.tokens:
                return False
            if self.usd is not None and (after.usd is None or after.usd > self.usd):
                return False
            self._reserved += most
            return True

    def settle(self, most: Spend, actual: Spend) -> None:
        """Count what a request cost, and free what was set aside for it."""
        with self._lock:
            self._spent += actual
            left = self._reserved
            usd = None if left.usd is None or most.usd is None else left.usd - most.usd
            self._reserved = Spend(left.tokens_in - most.tokens_in, left.tokens_out - most.tokens_out, usd)

    def __str__(self) -> str:
        limits = [f"${self.usd:g}"] if self.usd is not None else []
        limits += [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        return " and ".join(limits) or "no limit"
