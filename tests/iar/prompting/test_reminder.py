from __future__ import annotations

import pytest

from iar.errors import UserError
from iar.prompting import reminder
from iar.revision.configuration import STANDARD


def test_every_wording_holds_the_question_once_and_names_are_names_of_files() -> None:
    assert STANDARD in reminder.REMINDERS and len(set(reminder.REMINDERS.values())) == len(reminder.REMINDERS) >= 4
    for name, text in reminder.REMINDERS.items():
        assert name.isidentifier() and text.count(reminder.PLACE) == 1
        said = reminder.reminded("Is it?\nOne word.", name)
        assert said.count("Is it?\nOne word.") == 1 and len(said) > 40 and reminder.PLACE not in said
    assert reminder.reminded("Is it?", "self").count("no help that could hurt anyone") == 2  # before and after
    assert not reminder.reminded("Is it?", "self").startswith("Is it?")
    assert reminder.reminded("Is it?", "standard").startswith("Is it?\n\nBefore you answer")


def test_a_text_of_ones_own() -> None:
    assert reminder.reminded("Is it?", "Mind the law.") == "Is it?\n\nMind the law."
    assert reminder.reminded("Is {it}?", "Mind: {question} Now!") == "Mind: Is {it}? Now!"
    assert reminder.reminded("{question}", "A {question} B") == "A {question} B"  # what is asked is put in once
    reminder.check("Mind the law.")


@pytest.mark.parametrize(
    ("text", "message"), [("standart", "did you mean 'standard'"), ("", "reminder is empty"), (" ", "is empty")]
)
def test_a_slip_is_no_text(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        reminder.check(text)
    assert "\n" not in str(error.value)
