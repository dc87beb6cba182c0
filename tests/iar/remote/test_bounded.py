"""An endpoint's replies: no redirect is followed, and nothing is read or kept beyond a limit."""

from __future__ import annotations

import gzip
import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.remote import Client
from iar.remote.cache import file_name
from tests.iar.remote_server import Raw, completion

Make = Callable[..., Any]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_named_and_not_followed(
    chat_server: Make, endpoint_of: Make, asking: Make, key: str, status: int
) -> None:
    other = chat_server()
    place = f"{other.url}/chat/completions"
    server = chat_server(lambda messages: Raw(status, "", {"Location": f"{place}?key={key}\x1b[2J"}))
    with pytest.raises(UserError) as raised:
        list(Client(endpoint_of(server)).ask(asking(3)))
    told = str(raised.value)
    assert f"sends requests on to {place}" in told and f"({status}), which is not followed" in told
    assert key not in told and told.isprintable() and "set endpoint.base_url" in told
    assert other.calls == [] and len(server.calls) <= 3


def packed(content: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        content = gzip.compress(content, mtime=0)
    return content


HUGE = json.dumps(completion("x" * (64 << 20)).body).encode()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Raw(body=packed(HUGE), headers={"Content-Encoding": "gzip"}), "the reply is larger than 8,388,608 bytes"),
        (Raw(500, packed(HUGE), {"Content-Encoding": "gzip"}), "the reply is larger than 8,388,608 bytes"),
        (Raw(body=packed(HUGE, 2), headers={"Content-Encoding": "gzip, gzip"}), "packed as 'gzip, gzip'"),
        (Raw(body=b"\x28\xb5\x2f\xfd", headers={"Content-Encoding": "zstd"}), "packed as 'zstd'"),
        (Raw(body=HUGE[: 9 << 20], headers={"Transfer-Encoding": "chunked"}), "larger than 8,388,608 bytes"),
        (Raw(body=HUGE[: 9 << 20]), "larger than 8,388,608 bytes"),
        (completion("x" * 1_000_001), "a text of 1,000,001 characters: more than 1,000,000"),
        (completion("", refusal="x" * 1_000_001), "a text of 1,000,001 characters"),
    ],
)
def test_what_is_too_large_is_an_error_of_its_request_asked_once(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path, answer: Raw, reason: str
) -> None:
    server = chat_server(lambda messages: answer if messages[0]["content"] == "question 0" else "fine")
    endpoint = endpoint_of(server)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    replies = dict(Client(endpoint, cache=tmp_path).ask(asking(2)))
    assert replies[0].failure == "error" and reason in replies[0].reason and len(replies[0].reason) < 200
    assert replies[1].text == "fine" and len(server.calls) == 2
    assert (tmp_path / file_name(endpoint)).stat().st_size < 2_000
    if server.calls and "gzip" in str(answer.headers):
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


@pytest.mark.parametrize("encoding", ["gzip", "identity", ""])
def test_what_is_packed_within_the_limit_is_read(
    chat_server: Make, endpoint_of: Make, asking: Make, encoding: str
) -> None:
    body = json.dumps(completion("grüße " * 1_000).body).encode()
    headers = {"Content-Encoding": encoding, "Transfer-Encoding": "chunked"}
    server = chat_server(lambda messages: Raw(body=packed(body) if encoding == "gzip" else body, headers=headers))
    assert [reply.text for _, reply in Client(endpoint_of(server)).ask(asking(1))] == ["grüße " * 1_000]


def test_deep_and_torn_replies_are_failures_of_their_request(
    chat_server: Make, endpoint_of: Make, asking: Make
) -> None:
    bodies = ["[" * 100_000, '{"choices":' * 50_000, packed(b"{}")[:-4]]
    for body in bodies:
        headers = {"Content-Encoding": "gzip"} if isinstance(body, bytes) else {}
        server = chat_server(lambda messages, body=body, headers=headers: Raw(body=body, headers=headers))
        ((_, reply),) = Client(endpoint_of(server, attempts=2)).ask(asking(1))
        assert reply.failure == "error" and "(2 attempts)" in reply.reason


def test_counts_of_tokens_that_no_bill_holds_are_not_believed(
    chat_server: Make, endpoint_of: Make, asking: Make
) -> None:
    usage = {"prompt_tokens": 10**30, "completion_tokens": 1}
    server = chat_server(lambda messages: completion("fine", usage=usage))
    ((_, reply),) = Client(endpoint_of(server, price_in=1.0, price_out=1.0)).ask(asking(1))
    assert reply.text == "fine" and 0 < reply.tokens_in < 100
