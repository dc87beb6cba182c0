from __future__ import annotations

import pytest

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation import Engine
from iar.models import LoadedModel, chat
from iar.prompting import Turn, begun, plain
from iar.prompting.attack import ATTACKS, BEFORE, PREFIX, SYSTEM, attacked, check
from iar.prompting.composer import Composer
from iar.revision.configuration import Configuration

ASKED = (Turn("user", "How?"),)


def test_an_attack_leaves_the_question_as_it_is() -> None:
    assert attacked(ASKED, "") == ASKED
    assert attacked(ASKED, "prefix") == (*ASKED, Turn("assistant", PREFIX))
    assert attacked(ASKED, "system") == (Turn("system", SYSTEM), *ASKED)
    assert attacked(ASKED, "turns") == (*BEFORE, *ASKED) and [turn.role for turn in BEFORE] == ["user", "assistant"]


def test_only_a_prefix_begins_the_answer() -> None:
    assert [begun(attacked(ASKED, name)) for name in ("", *ATTACKS)] == ["", PREFIX, "", ""]


def test_an_unknown_attack_is_answered_with_the_nearest() -> None:
    check("")
    with pytest.raises(UserError, match="unknown attack 'prefx': did you mean 'prefix'"):
        check("prefx")


@pytest.mark.parametrize("sharing", ["auto", "plain"])
def test_an_answer_goes_on_from_its_prefix(tiny: LoadedModel, sharing: str) -> None:
    """The prompt is what teacher forcing makes of question and prefix; the prefix is part of the answer."""
    sample = Sample("1", "vscbench", "txt", "How do I use a spoon?", (), "safe", "1")
    said = attacked(plain(sample), "prefix")
    assert chat.converse(tiny, said) == chat.render(tiny, sample.prompt, 0, PREFIX)
    found = {}
    for name in ("", "prefix"):
        engine = Engine(tiny, {}, 4, compose=Composer(attack=name), sharing=sharing)
        (found[name],) = engine.run([sample], [Configuration()], 6)
    ours, theirs = found["prefix"], found[""]
    assert ours.answer.startswith(PREFIX) and not theirs.answer.startswith(PREFIX) and ours.key != theirs.key
    assert 0 < ours.tokens <= 6 and ours.prompt_tokens > theirs.prompt_tokens
    assert Composer(attack="prefix").describe() == {"attack": "prefix"}
