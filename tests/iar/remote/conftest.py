"""A key in the environment, an endpoint for a server on this machine, and requests to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iar.prompting import Turn
from iar.remote import Endpoint, Request, backoff
from tests.iar.remote_server import ChatServer

KEY = "sk-test-0123456789/abcdef"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The value of the environment variable IAR_TEST_KEY."""
    monkeypatch.setenv("IAR_TEST_KEY", KEY)
    return KEY


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts in hundredths of a second."""
    monkeypatch.setattr(backoff, "FIRST", 0.01)


@pytest.fixture
def endpoint_of(key: str, quick: None) -> Callable[..., Endpoint]:
    """An endpoint at that server; give what differs from the defaults."""

    def make(server: ChatServer, **settings: object) -> Endpoint:
        given = {"model": "test", "base_url": server.url, "key_name": "IAR_TEST_KEY", "timeout": 5.0} | settings
        return Endpoint.from_settings(given)

    return make


@pytest.fixture
def asking() -> Callable[..., list[Request]]:
    """``asking(3)``: three requests, "question 0" to "question 2"."""

    def make(number: int, max_tokens: int = 20) -> list[Request]:
        return [Request((Turn("user", f"question {index}"),), max_tokens) for index in range(number)]

    return make
