"""A request is read whole or refused in one line that names the field."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from iar.generation.sampling import Sampling
from iar.prompting import Turn
from iar.revision.configuration import Configuration
from iar.serve.asked import Asked, Limits, read
from iar.serve.refused import Refused

MODELS = {"m": Configuration(), "own": Configuration("iar", (2,), 1.0)}
HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def asked(**changes: Any) -> Asked:
    return read(json.dumps(HELLO | changes).encode(), MODELS, Limits(tokens=50, images=2, answers=3, messages=4))


def refusal(**changes: Any) -> str:
    with pytest.raises(Refused) as raised:
        asked(**changes)
    assert raised.value.status in (400, 404) and "\n" not in raised.value.message
    return raised.value.message


def uri(size: tuple[int, int] = (4, 4), kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_conversation() -> None:
    found = asked(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}, image(uri())],
            },
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": [image(uri(kind="JPEG")), {"type": "text", "text": "three"}], "name": "x"},
        ],
        max_tokens=7,
        stop="\n",
        user="me",
        logprobs=False,
        presence_penalty=0.0,
        tools=[],
        n=None,
    )
    said = [(turn.role, turn.text, len(turn.images)) for turn in found.conversation]
    assert said == [("system", "Be brief.", 0), ("user", "one\ntwo", 1), ("assistant", "yes", 0), ("user", "three", 1)]
    assert [content[:4] for content in found.pictures] == [b"\x89PNG", b"\xff\xd8\xff\xe0"]
    assert (found.max_tokens, found.stop, found.sampling, found.stream) == (7, ("\n",), None, False)
    assert asked().conversation == (Turn("user", "hello"),)


def test_settings_and_samples() -> None:
    assert asked().answers == (Configuration(),) and asked(model="own").answers == (MODELS["own"],)
    assert asked(model="own", iar={}).answers == (Configuration(),)
    steered = Configuration("iar", (9, 14), 2.0, heads=0, positions="all")
    assert asked(iar={"layers": [9, 14], "strength": 2, "positions": "all"}).answers == (steered,)
    assert asked(iar=[{"layer": 1}, {}], n=2).answers == (Configuration("iar", (1,), 1.0), Configuration())
    assert asked(n=3, temperature=0.5, seed=4).answers == (Configuration(),) * 3
    assert asked(temperature=0.5, seed=4, top_p=0.9).sampling == Sampling(0.5, 0.9, 4)
    assert asked(temperature=0, seed=4).sampling is None
    first, second = asked(temperature=1).sampling, asked(temperature=1).sampling
    assert first and second and first.seed != second.seed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "x"}, "unknown model 'x': this server has m, own"),
        ({"model": None}, "model must be a string"),
        ({"messages": []}, "messages must be a list of 1 to 4 messages"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role must be system"),
        ({"messages": [{"role": "assistant", "content": "so"}]}, "the last message must be the user's"),
        ({"messages": [{"role": "user"}]}, "messages[0].content must be a string or a list"),
        ({"messages": [{"role": "user", "content": "", "tool_calls": [1]}]}, "messages[0].tool_calls is not supported"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "content[0] must be a part of type text",
        ),
        ({"logprobs": True}, "logprobs is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format is not supported"),
        ({"frequency_penalty": 0.5}, "frequency_penalty is not supported"),
        ({"max_token": 5}, "max_token is not supported by this server: leave it out (did you mean 'max_tokens'?"),
        ({"max_tokens": 51}, "max_tokens must be a whole number from 1 to 50"),
        ({"max_tokens": True}, "max_tokens must be a whole number"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "differ"),
        ({"temperature": 3}, "temperature must be a number from 0 to 2"),
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"temperature": float("nan")}, "temperature must be a number"),
        ({"temperature": 1, "top_p": 0}, "top_p above 0"),
        ({"temperature": 1, "seed": 1.5}, "seed must be a whole number"),
        ({"stop": ["a"] * 17}, "stop must be a text"),
        ({"stop": [""]}, "stop must be a text"),
        ({"stream": "yes"}, "stream must be true or false"),
        ({"stream_options": {"other": 1}}, "stream_options takes include_usage alone"),
        ({"n": 4}, "n must be a whole number from 1 to 3"),
        ({"n": 3, "iar": [{}, {}]}, "n=3 and 2 settings"),
        ({"iar": []}, "iar must be one setting, or a list of 1 to 3"),
        ({"iar": [{}] * 4}, "iar must be one setting, or a list of 1 to 3"),
        ({"iar": "last"}, "iar must be an object"),
        ({"iar": [{}, 5]}, "iar[1] must be an object"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(**changes)


def test_images_are_data_alone() -> None:
    def said(*urls: Any) -> str:
        return refusal(messages=[{"role": "user", "content": [image(url) for url in urls]}])

    for url in ("http://127.0.0.1/x.png", "https://a.b/c.png", "file:///etc/passwd", "/etc/passwd", "", None):
        assert "this server fetches no addresses" in said(url)
    assert "cannot read image" in said("data:image/png;base64,####")
    assert "none of the formats" in said("data:image/png;base64,aGVsbG8=")
    assert "data:image/…;base64" in said("data:text/html;base64,aGVsbG8=")
    assert "more than 25,000,000" in said(uri((5001, 5000)))
    assert "too many images" in said(uri(), uri(), uri())
    between = [image(uri()), {"type": "text", "text": "and"}, image(uri())]
    assert "text between images" in refusal(messages=[{"role": "user", "content": between}])
    assert "belong in messages of the user" in refusal(messages=[{"role": "system", "content": [image(uri())]}])


def test_no_json_is_one_line() -> None:
    for body in (b"", b"{", b"[1]", b"[" * 5000, b"\xff\xfe", b'{"model": 1'):
        with pytest.raises(Refused):
            read(body, MODELS, Limits())
