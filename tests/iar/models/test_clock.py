from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import chat_template_utils

from iar.errors import UserError
from iar.models import LoadedModel, chat, clock, load
from iar.prompting import Turn
from tests.conftest import CHAT_TEMPLATE

HEAD = (
    "{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}"
    "{% else %}{% set date_string = '1 Jan 1970' %}{% endif %}{% endif %}Today: {{ date_string }}"
    "{% macro at() %}{{ strftime_now(format='%A %-d %B %Y %H:%M') }}{% endmacro %} or {{ at() }}\n"
)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the time that transformers gives to templates."""

    def set_time(*moment: int) -> None:
        class Frozen(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime(*moment)  # type: ignore[arg-type]

        monkeypatch.setattr(chat_template_utils, "datetime", Frozen)
        chat_template_utils._compile_jinja_template.cache_clear()

    return set_time


def with_template(folder: Path, copy: Path, template: str) -> LoadedModel:
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "chat_template.jinja").write_text(template)
    return load(copy)


def test_a_clock_shows_one_day(tiny_folder: Path, tmp_path: Path, at: Any) -> None:
    loaded, prompts = with_template(tiny_folder, tmp_path / "m", HEAD + CHAT_TEMPLATE), set()
    for moment in ((2025, 1, 2), (2031, 12, 30, 23, 59)):
        at(*moment)
        prompts |= {chat.render(loaded, "Is it?"), chat.converse(loaded, (Turn("user", "Is it?"),))}
    wanted = "Today: 26 Jul 2024 or Friday 26 July 2024 00:00\nUSER: Is it? ASSISTANT:"
    assert prompts == {wanted}
    at(2025, 1, 2)
    assert chat.render(loaded, "Is it?", 0, "Yes") == f"{wanted} Yes"


def test_only_a_clock_changes_the_fingerprint(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of a model with a clock are others than before; all other models keep their keys."""
    clocked = with_template(tiny_folder, tmp_path / "a", HEAD + CHAT_TEMPLATE)
    plain = with_template(tiny_folder, tmp_path / "b", CHAT_TEMPLATE)
    for loaded, changes in ((clocked, True), (plain, False)):
        before = loaded.fingerprint
        monkeypatch.setattr(clock, "DAY", datetime(2020, 1, 1))
        del loaded.__dict__["fingerprint"]
        assert (loaded.fingerprint != before) is changes
        monkeypatch.undo()


def test_the_template_itself_is_written_as_it_stands(tiny_folder: Path, tmp_path: Path) -> None:
    """What is put before it writes nothing, not even where it begins with a line break."""
    loaded = with_template(tiny_folder, tmp_path / "m", "\n\n  {{ strftime_now('%Y') }}|{{ messages[0].role }}")
    assert chat.converse(loaded, (Turn("user", ""),)) == "\n\n  2024|user"


def test_a_choice_by_chance_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = with_template(tiny_folder, tmp_path / "m", "{{ ['Hi', 'Hello'] | random }} " + CHAT_TEMPLATE)
    with pytest.raises(UserError, match="chooses at random"):
        chat.render(loaded, "Is it?")
