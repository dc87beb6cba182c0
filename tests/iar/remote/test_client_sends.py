"""What reaches the server: the request, its key, its images and its schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.prompting import Turn
from iar.remote import Client, Reply, Request

Make = Callable[..., Any]


def shouted(messages: list[dict[str, Any]]) -> str:
    return messages[-1]["content"].upper()


def ask(client: Client, requests: Sequence[Request]) -> list[Reply]:
    return [reply for _, reply in sorted(client.ask(requests), key=lambda pair: pair[0])]


def test_what_is_sent(chat_server: Make, endpoint_of: Make, images: list[Path], key: str) -> None:
    server = chat_server(lambda messages: "a \ud83d half", key=key)
    request = Request((Turn("user", "What \ud83d is it?", (images[0],)),), 33, seed=4)

    reply = ask(Client(endpoint_of(server)), [request])[0]

    (call,) = server.calls
    assert reply == Reply("a \ufffd half", "", "", 100, 10, reply.seconds) and 0 < reply.seconds < 5
    assert (call["model"], call["max_tokens"], call["temperature"], call["seed"]) == ("test", 33, 0.0, 4)
    assert [part["type"] for part in call["messages"][0]["content"]] == ["image_url", "text"]
    assert call["messages"][0]["content"][1]["text"] == "What ? is it?"


def test_without_a_key_none_is_sent(
    chat_server: Make, endpoint_of: Make, asking: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-of-an-administrator")
    server = chat_server(shouted)

    ask(Client(endpoint_of(server, key_name=None)), asking(1))

    assert server.calls[0]["_authorization"] == ""


def test_a_schema_is_sent_until_the_server_refuses_it(
    chat_server: Make, endpoint_of: Make, asking: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = {"type": "object", "properties": {"label": {"type": "string"}}}
    requests = [replace(request, schema=schema) for request in asking(6)]
    server = chat_server(shouted)
    ask(Client(endpoint_of(server)), requests)
    assert [call["response_format"]["json_schema"]["schema"] for call in server.calls] == [schema] * 6

    plain = chat_server(shouted, structured=False)
    client = Client(endpoint_of(plain, concurrency=1))
    replies = ask(client, requests)

    assert [reply.text for reply in replies] == [f"QUESTION {index}" for index in range(6)]
    assert ["response_format" in call for call in plain.calls] == [True] + [False] * 6
    assert capsys.readouterr().err.count("test takes no response_format with a schema") == 1
    ask(client, [replace(asking(7)[6], schema=schema)])
    assert len(plain.calls) == 8 and "response_format" not in plain.calls[-1]
    never = chat_server(shouted)
    ask(Client(endpoint_of(never, structured=False)), requests)
    assert not any("response_format" in call for call in never.calls)


def test_an_unreadable_image_fails_its_request_alone(
    chat_server: Make, endpoint_of: Make, images: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "torn.png").write_bytes(images[0].read_bytes()[:60])
    server = chat_server(lambda messages: "fine")
    paths = [images[0], tmp_path / "gone.png", tmp_path / "torn.png"]

    replies = ask(Client(endpoint_of(server)), [Request((Turn("user", "?", (path,)),), 20) for path in paths])

    assert [reply.failure for reply in replies] == ["", "error", "error"] and len(server.calls) == 1
    assert "gone.png" in replies[1].reason and "torn.png" in replies[2].reason


def test_too_many_images_are_told_before_anything_is_sent(
    chat_server: Make, endpoint_of: Make, images: list[Path], asking: Make
) -> None:
    server = chat_server()
    client = Client(endpoint_of(server, max_images=1))
    requests = [*asking(2), Request((Turn("user", "?", tuple(images)),), 20)]

    for call in (client.ask, client.estimate):
        with pytest.raises(UserError, match="test takes at most 1 image a request, this one holds 3"):
            list(call(requests))  # type: ignore[call-overload]
    assert not server.calls
