"""What ends a whole run: one line, and everything that was answered is kept."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.remote import Client, Endpoint, Request
from iar.remote.cache import file_name
from tests.iar.remote_server import Raw, error

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (error(401, "Incorrect key"), "test at URL refuses the key (401): check the environment variable IAR_TEST_KEY"),
        (error(403, "no access"), "(403, no access): check the environment variable IAR_TEST_KEY"),
        (error(404, "unknown"), "no such model or URL (404, unknown): check endpoint.model and endpoint.base_url"),
        (Raw(405, "not allowed", content_type="text/plain"), "no such model or URL (405, not allowed)"),
        (error(400, "unknown", "model_not_found"), "no such model or URL (400, unknown)"),
        (error(402, "no credit"), "quota is spent (402, no credit)"),
        (error(429, "exceeded", "insufficient_quota"), "quota is spent (429, exceeded)"),
        (
            error(400, "no", "unsupported_parameter", param="max_tokens"),
            "does not take this max_tokens: set endpoint.token_field=max_completion_tokens",
        ),
        (
            error(400, "no", "unsupported_value", param="temperature"),
            "does not take this temperature: set endpoint.temperature=null",
        ),
    ],
)  # fmt: skip
def test_what_no_request_can_pass_ends_the_run_in_one_line(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path, answer: Raw, message: str
) -> None:
    server = chat_server(lambda messages: "fine" if len(server.calls) <= 10 else answer)
    requests, found = asking(40), []

    with pytest.raises(UserError) as raised:
        for index, _ in Client(endpoint_of(server), cache=tmp_path).ask(requests):
            found.append(index)

    told = str(raised.value).replace(server.url, "URL")
    assert message in told and "\n" not in told and told.endswith("what was answered is kept")
    assert len(found) >= 3 and len(server.calls) <= 10 + 8
    server.answer, before = (lambda messages: "fine"), len(server.calls)
    replies = dict(Client(endpoint_of(server), cache=tmp_path).ask(requests))
    assert [index for index, reply in replies.items() if reply.cached] == sorted(found)
    assert len(server.calls) - before == 40 - len(found)


def test_what_is_in_flight_when_the_run_ends_is_kept(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path
) -> None:
    def answer(messages: list[dict[str, Any]]) -> str | Raw:
        if messages[0]["content"] == "question 0":
            while len(server.calls) < 4:  # the others are on their way
                time.sleep(0.01)
            return error(401, "wrong")
        time.sleep(1)
        return "fine"

    server = chat_server(answer)
    with pytest.raises(UserError, match="refuses the key"):
        list(Client(endpoint_of(server, concurrency=4), cache=tmp_path).ask(asking(50)))

    assert len(server.calls) == 4
    client = Client(endpoint_of(server), cache=tmp_path)
    assert client.estimate(asking(50)).cached == 3


def test_a_missing_key_is_told_before_anything_is_sent(
    chat_server: Make, endpoint_of: Make, asking: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = chat_server()
    client = Client(endpoint_of(server))
    monkeypatch.delenv("IAR_TEST_KEY")

    with pytest.raises(UserError, match="needs a key: set the environment variable IAR_TEST_KEY"):
        list(client.ask(asking(3)))
    assert not server.calls


def dead_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


@pytest.mark.parametrize(("number", "attempts"), [(1, 1), (1, 6), (500, 6)])
def test_a_dead_port_is_one_line(key: str, asking: Make, number: int, attempts: int) -> None:
    url, start = dead_port(), time.monotonic()

    with pytest.raises(UserError) as raised:
        list(Client(Endpoint("m", url, "IAR_TEST_KEY", attempts=attempts)).ask(asking(number)))

    told = str(raised.value)
    assert told.startswith(f"{url} cannot be reached (no connection: ") and "\n" not in told and len(told) < 300
    assert time.monotonic() - start < 4


@pytest.mark.parametrize("url", ["http://no-such-host.invalid/v1", "https://127.0.0.1:{port}/v1"])
def test_an_unknown_host_and_a_server_without_tls_are_one_line(
    chat_server: Make, endpoint_of: Make, asking: Make, url: str
) -> None:
    server = chat_server()
    port = server.url.split(":")[2].removesuffix("/v1")

    with pytest.raises(UserError, match="cannot be reached"):
        list(Client(endpoint_of(server, base_url=url.format(port=port))).ask(asking(5)))


def test_a_server_that_dies_ends_the_run_and_its_replies_are_kept(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path
) -> None:
    def answer(messages: list[dict[str, Any]]) -> str:
        if len(server.calls) == 20:
            threading.Thread(target=server.close).start()
        return "fine"

    server = chat_server(answer)
    requests = asking(200)

    with pytest.raises(UserError, match="no longer answers"):
        list(Client(endpoint_of(server, attempts=2), cache=tmp_path).ask(requests))

    assert 11 <= Client(endpoint_of(server), cache=tmp_path).estimate(requests).cached <= len(server.calls)


def test_a_cache_that_cannot_be_written_ends_the_run(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path
) -> None:
    endpoint = endpoint_of(server := chat_server())
    (tmp_path / file_name(endpoint)).with_suffix(".lock").mkdir()

    with pytest.raises(UserError, match="choose a writable cache folder"):
        list(Client(replace(endpoint, concurrency=1), cache=tmp_path).ask(asking(20)))
    assert len(server.calls) == 1


def test_leaving_early_stops_the_requests(chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path) -> None:
    server = chat_server(delay=0.05)
    requests: list[Request] = asking(1000)
    client = Client(endpoint_of(server, concurrency=2), cache=tmp_path)

    with pytest.raises(ZeroDivisionError):
        for _ in client.ask(requests):
            1 / 0  # noqa: B018
    sent = len(server.calls)
    time.sleep(0.3)

    assert sent < 500 and len(server.calls) == sent
    assert not [thread for thread in threading.enumerate() if thread.name == "requests"]
    assert client.estimate(requests).cached >= 1
