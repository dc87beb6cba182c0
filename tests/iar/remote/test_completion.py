from __future__ import annotations

from typing import Any

import pytest

from iar.remote.completion import Completion, read, usage


def body(content: Any, finish_reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content} | more, "finish_reason": finish_reason}]}


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (body("Yes."), Completion("Yes.")),
        (body("Yes.", None), Completion("Yes.")),
        (body("Yes", "length"), Completion("Yes", "", "length")),
        (body("", "length"), Completion("", "empty", "no text, ended by length")),
        (body(" \n"), Completion("", "empty", "no text, ended by stop")),
        (body(None, None), Completion("", "empty", "no text, ended by nothing")),
        (body(None, refusal="I cannot."), Completion("I cannot.", "refused", "I cannot.")),
        (body("I cannot.", "refusal"), Completion("I cannot.", "refused", "refusal")),
        (body("Half", "content_filter"), Completion("Half", "filtered", "ended by content_filter")),
        (body("", "content_filter: SAFETY"), Completion("", "filtered", "ended by content_filter: SAFETY")),
        (body([{"type": "text", "text": "Y"}, {"type": "reasoning", "text": "x"}, {"type": "text", "text": "es"}]),
         Completion("Yes")),
        (body([{"type": "thinking", "thinking": [{"type": "text", "text": "No"}]}, "Yes"]), Completion("Yes")),
        (body([{"type": "text", "text": "No", "thought": True}, {"type": "text", "text": "Yes"}]), Completion("Yes")),
        (body("Yes", reasoning_content="No."), Completion("Yes")),
        (body("", "length", reasoning_content="No"), Completion("", "empty", "an unfinished thought, ended by length")),
        (body(None, reasoning="No"), Completion("", "empty", "an unfinished thought, ended by stop")),
        (body(None, "length", reasoning_details=[{"type": "reasoning.text", "text": "No"}]),
         Completion("", "empty", "an unfinished thought, ended by length")),
        (body([{"type": "thinking", "thinking": "No"}], "length"),
         Completion("", "empty", "an unfinished thought, ended by length")),
        (body(None, reasoning="", thinking=None), Completion("", "empty", "no text, ended by stop")),
        ({"choices": [{"finish_reason": "content_filter"}]}, Completion("", "filtered", "ended by content_filter")),
    ],
)  # fmt: skip
def test_a_completion_is_read(found: dict[str, Any], wanted: Completion) -> None:
    assert read(found) == wanted


@pytest.mark.parametrize(
    "found", [None, [], "text", {}, {"choices": []}, {"choices": "x"}, {"choices": [None]}, body(3), body("a", 7)]
)
def test_what_is_no_completion_is_none(found: Any) -> None:
    assert read(found) is None


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3)),
        ({"prompt_tokens": 7}, (7, 0)),
        ({"prompt_tokens": -7, "completion_tokens": 3}, None),
        ({"prompt_tokens": "many"}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_what_the_endpoint_counted(found: Any, wanted: tuple[int, int] | None) -> None:
    assert usage({"usage": found}) == wanted
    assert usage("no object") is None
