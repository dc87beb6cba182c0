from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from iar.prompting import Turn
from iar.remote import Endpoint, Request
from iar.remote.images import data_uri
from iar.remote.payload import arguments

ENDPOINT = Endpoint("m", "http://localhost/v1")


def test_images_stand_before_the_text_and_text_alone_is_plain(images: list[Path]) -> None:
    request = Request(
        (
            Turn("system", "Be brief."),
            Turn("user", "Which is red?", (images[0], images[1])),
            Turn("assistant", "The first."),
            Turn("user", "", (images[2],)),
        ),
        20,
    )

    sent = arguments(ENDPOINT, request, True)

    parts = [{"type": "image_url", "image_url": {"url": data_uri(ENDPOINT, path)}} for path in images]
    assert sent == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [*parts[:2], {"type": "text", "text": "Which is red?"}]},
            {"role": "assistant", "content": "The first."},
            {"role": "user", "content": parts[2:]},
        ],
        "max_tokens": 20,
        "temperature": 0.0,
    }


def test_what_the_endpoint_does_not_take_is_not_sent() -> None:
    schema = {"type": "object"}
    request = Request((Turn("user", "Hello"),), 20, schema=schema, seed=3)
    endpoint = replace(ENDPOINT, temperature=None, token_field="max_completion_tokens")

    sent, plain = arguments(endpoint, request, True), arguments(endpoint, request, False)

    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert plain == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_completion_tokens": 20,
        "seed": 3,
    }
    assert sent == plain | {"response_format": wanted}


def test_half_a_surrogate_pair_can_be_sent() -> None:
    request = Request((Turn("user", "torn \ud83d emoji, whole \U0001f600"),), 20)

    assert arguments(ENDPOINT, request, True)["messages"][0]["content"] == "torn ? emoji, whole \U0001f600"
