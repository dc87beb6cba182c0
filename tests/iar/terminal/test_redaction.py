from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from iar.terminal.redaction import Redaction

KEY = 'sk-ab/cd"ef+0123456789'


@pytest.mark.parametrize(
    "written", [KEY, json.dumps(KEY), quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), f"x{KEY}y{KEY}"]
)
def test_every_way_of_writing_the_key_is_hidden(written: str) -> None:
    hidden = Redaction(KEY).hide(f"before {written} after")

    assert hidden.startswith("before ") and hidden.endswith(" after") and "[key]" in hidden
    assert "0123456789" not in hidden and "MDEyMzQ1Njc4" not in hidden


def test_the_beginning_of_the_key_is_hidden_after_bearer() -> None:
    assert Redaction(KEY).one_line(f"got 'Authorization: Bearer {KEY[:6]}'") == "got 'Authorization: Bearer [key]'"


def test_it_shows_no_key_itself() -> None:
    assert "0123456789" not in repr(Redaction(KEY))


def test_a_word_for_no_key_hides_no_answer() -> None:
    assert Redaction("EMPTY").hide("The glass is EMPTY.") == "The glass is EMPTY."
    assert Redaction("").hide("fine") == "fine"


def test_an_error_is_one_short_line() -> None:
    told = Redaction(KEY).one_line("first\r\n\x1b[31msecond\u2028third " + "x" * 500)

    assert told.startswith("first [31msecond third xxx") and len(told) == 200 and told.endswith("…")
