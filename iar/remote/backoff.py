"""How long to wait before asking again.

Without advice from the endpoint, attempt n waits 0.5 s × 2^(n-1), after "too many requests" four times as long, at most
30 s; shortened by up to a half so that requests that failed together do not come back together. An endpoint's
``Retry-After`` is honoured, up to a minute. What is drawn is drawn from the request's key: the same run waits the same
times.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from tenacity import RetryCallState, wait_exponential

FIRST = 0.5
CROWDED = 4.0
"""Factor on the wait after a 429 without advice: quotas are counted by the minute."""
LONGEST = 30.0
LONGEST_ADVISED = 60.0
SPREAD = 0.5
"""Seconds, at most, on top of the advised ones."""


class Backoff:
    """A ``wait`` for tenacity, for one request."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._waits = {
            crowded: wait_exponential(FIRST * (CROWDED if crowded else 1), LONGEST) for crowded in (False, True)
        }

    def __call__(self, state: RetryCallState) -> float:
        draw = random.Random(f"{self._key} {state.attempt_number}").random()
        error = state.outcome.exception() if state.outcome else None
        advised: float | None = getattr(error, "retry_after", None)
        if advised is not None:
            return advised + draw * SPREAD
        return self._waits[bool(getattr(error, "crowded", False))](state) * (1 - draw / 2)


def retry_after(headers: Mapping[str, str], error: Mapping[str, Any] | None = None) -> float | None:
    """Seconds that a response asks to wait, from 0 to 60; None where it does not, or says nothing sensible.

    ``Retry-After`` is a number of seconds or an HTTP date (RFC 9110, 10.2.3); ``retry-after-ms`` is OpenAI's own.
    Google's endpoint says it in the error itself: ``details: [{"retryDelay": "36s"}]`` (google.rpc.RetryInfo).
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if not math.isnan(seconds):
            return min(max(seconds, 0.0), LONGEST_ADVISED)
    details = error.get("details") if error else None
    for detail in details if isinstance(details, list) else []:
        delay = str(detail.get("retryDelay")) if isinstance(detail, dict) else ""
        if re.fullmatch(r"\d{1,9}(\.\d+)?s", delay):
            return min(float(delay[:-1]), LONGEST_ADVISED)
    return None
