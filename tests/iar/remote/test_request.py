from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.prompting import Turn
from iar.remote import Endpoint, Request, request_key

ENDPOINT = Endpoint("m", "http://localhost/v1")
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}


def test_whatever_can_change_the_reply_changes_the_key(images: list[Path]) -> None:
    turn = Turn("user", "What is this?", (images[0], images[1]))
    request = Request((turn,), 20)
    others = [
        (replace(ENDPOINT, model="n"), request),
        (replace(ENDPOINT, base_url="http://localhost/v2"), request),
        (replace(ENDPOINT, temperature=0.5), request),
        (replace(ENDPOINT, temperature=None), request),
        (replace(ENDPOINT, max_image_side=512), request),
        (replace(ENDPOINT, max_image_bytes=4096), request),
        (ENDPOINT, replace(request, max_tokens=21)),
        (ENDPOINT, replace(request, seed=0)),
        (ENDPOINT, replace(request, schema=SCHEMA)),
        (ENDPOINT, replace(request, conversation=(replace(turn, text="What is that?"),))),
        (ENDPOINT, replace(request, conversation=(replace(turn, role="system"),))),
        (ENDPOINT, replace(request, conversation=(replace(turn, images=turn.images[::-1]),))),
        (ENDPOINT, replace(request, conversation=(replace(turn, images=()),))),
        (ENDPOINT, replace(request, conversation=(turn, Turn("assistant", "")))),
    ]

    keys = [request_key(ENDPOINT, request), *(request_key(*other) for other in others)]

    assert len(set(keys)) == len(others) + 1


def test_what_cannot_change_the_reply_does_not_change_the_key(images: list[Path], tmp_path: Path) -> None:
    request = Request((Turn("user", "What is this?", (images[0],)),), 20)
    copied = Request((Turn("user", "What is this?", (Path(shutil.copy(images[0], tmp_path / "other.png")),)),), 20)
    same = replace(
        ENDPOINT,
        base_url="http://LOCALHOST/v1/",
        key_name="OTHER_KEY",
        concurrency=1,
        timeout=1.0,
        attempts=1,
        price_in=1.0,
        price_out=1.0,
        max_images=1,
        image_tokens=1,
        token_field="max_completion_tokens",
    )

    assert request_key(same, copied) == request_key(ENDPOINT, request)


def test_what_is_not_sent_does_not_change_the_key() -> None:
    text = Request((Turn("user", "Hello"),), 20)
    plain = replace(ENDPOINT, structured=False)

    assert request_key(replace(ENDPOINT, max_image_side=512), text) == request_key(ENDPOINT, text)
    assert request_key(plain, replace(text, schema=SCHEMA)) == request_key(plain, text)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png"):
        request_key(ENDPOINT, Request((Turn("user", "", (tmp_path / "gone.png",)),), 20))
