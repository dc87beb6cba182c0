"""The key leaves this machine in the Authorization header and goes nowhere else."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.remote import Client
from tests.iar.remote_server import Raw, error

Make = Callable[..., Any]


def echoing(key: str) -> list[Raw | str]:
    """Everything in which a server can send the key back."""
    header = f"Bearer {key}"
    return [
        f"You sent {key}!",
        error(400, f"bad request: Authorization: {header}", key),
        error(400, f"begins with {header[:16]}"),
        error(422, json.dumps({"authorization": header, "again": json.dumps(header)})),
        error(500, f"crash: {header}"),
        Raw(502, f"<html>{header}</html>", content_type="text/html"),
        error(400, f"filtered {header}", "content_filter"),
        Raw(200, {"error": {"message": f"upstream says {header}"}}),
        Raw(200, f"torn {header}"),
        Raw(
            200,
            {"choices": [{"message": {"content": None, "refusal": f"no {key}"}, "finish_reason": key}]},
        ),
        Raw(200, {"choices": [{"message": {"content": "x"}, "finish_reason": f"content_filter {key}"}]}),
    ]


def test_no_reply_record_log_or_output_holds_the_key(
    chat_server: Make,
    endpoint_of: Make,
    asking: Make,
    key: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in logging.root.manager.loggerDict:  # Hydra, in tests before this one, disables those that are there
        logging.getLogger(name).disabled = False
    answers = echoing(key)
    server = chat_server(lambda messages: answers[int(messages[0]["content"].split()[1])], key=key)
    client = Client(endpoint_of(server, attempts=2), cache=tmp_path)

    replies = [reply for _, reply in sorted(client.ask(asking(len(answers))), key=lambda pair: pair[0])]

    assert all(call["_authorization"] == f"Bearer {key}" for call in server.calls)  # it was sent, and understood
    assert replies[0].text == "You sent [key]!"
    assert replies[1].reason == "400: bad request: Authorization: Bearer [key]"
    assert replies[9].text == "no [key]"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = "".join(path.read_text() for path in files)
    shown = "".join(capfd.readouterr())
    assert len(replies) == 11 and "[key]" in written and "requests" in shown and caplog.text
    for where in (written, shown, caplog.text, repr(replies), repr(vars(client)), repr(client.endpoint), str(files)):
        assert key not in where and json.dumps(key)[1:-1] not in where and key[:9] not in where


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_no_error_holds_the_key_not_even_its_traceback(
    chat_server: Make, endpoint_of: Make, asking: Make, key: str, status: int
) -> None:
    server = chat_server(lambda messages: error(status, f"Incorrect API key provided: {key}; Bearer {key}"))

    with pytest.raises(UserError) as raised:
        list(Client(endpoint_of(server)).ask(asking(3)))

    assert str(status) in str(raised.value)
    assert key not in "".join(traceback.format_exception(raised.value))
