from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from tenacity import Future, RetryCallState

from iar.remote.backoff import LONGEST, Backoff, retry_after
from iar.remote.failures import Again


def after(number: int, error: Exception) -> RetryCallState:
    """The state of a request whose n-th attempt failed."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = number
    state.outcome = Future(number)
    state.outcome.set_exception(error)
    return state


def test_the_wait_doubles_up_to_half_a_minute() -> None:
    waits = [[Backoff(f"key {k}")(after(n, Again("error", "500"))) for n in range(1, 12)] for k in range(200)]

    for n in range(11):
        full, seen = min(0.5 * 2**n, LONGEST), [row[n] for row in waits]
        assert full / 2 <= min(seen) < 0.55 * full and 0.95 * full < max(seen) <= full
    assert waits[0] == [Backoff("key 0")(after(n, Again("error", "500"))) for n in range(1, 12)]


def test_too_many_requests_wait_longer() -> None:
    waits = [[Backoff(f"{k}")(after(n, Again("error", "429", crowded=c))) for n in range(1, 6)] for k in range(9)
             for c in (False, True)]  # fmt: skip

    assert waits[1][:3] == [4 * wait for wait in waits[0][:3]]
    assert all(sum(row) > 30 for row in waits[1::2]) and all(sum(row) < 16 for row in waits[::2])


def test_the_advised_wait_is_never_cut_short() -> None:
    waits = [Backoff(f"key {k}")(after(1, Again("error", "429", retry_after=7.0))) for k in range(50)]

    assert min(waits) >= 7.0 and max(waits) <= 7.5 and len(set(waits)) == 50
    assert Backoff("key")(after(1, Again("error", "429", retry_after=0.0))) <= 0.5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "86400"}, 60.0),
        ({"retry-after": "inf"}, 60.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2999 07:28:00 GMT"}, 60.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_what_the_headers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_google_s_advice_stands_in_the_error() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.5s"}

    assert retry_after({}, {"details": [{"@type": "…/QuotaFailure"}, info]}) == 36.5
    assert retry_after({"retry-after": "2"}, {"details": [info]}) == 2.0
    for strange in ("soon", None, {"retryDelay": "36s"}, [None, "36s", {"retryDelay": "-1s"}, {"retryDelay": 36}]):
        assert retry_after({}, {"details": strange}) is None


def test_a_date_is_counted_from_now() -> None:
    found = retry_after({"retry-after": formatdate(time.time() + 20, usegmt=True)})

    assert found is not None and 18 <= found <= 20
