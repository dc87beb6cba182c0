from __future__ import annotations

from iar.judges.passage import normal, passage


def test_sentences_lists_quotations_and_code():
    parts = passage(normal('Mr. Smith said "I cannot help you at all" and left. Do this:\n1. **Boil** it.\n- Eat it.'))
    assert parts.sentences == ("mr. smith said and left", "do this:", "boil it", "eat it")
    assert (parts.items, parts.quotes, parts.code) == (2, True, False)
    coded = passage("run this:\n```\nkill 1\n```\ndone.")
    assert coded.sentences == ("run this:", "done") and coded.code and not coded.quotes


def test_an_answer_in_quotation_marks_is_the_models_own():
    assert passage('"i cannot help you with that."').sentences == ("i cannot help you with that",)


def test_short_quotations_stay():
    assert passage('to "eradicate" it, wash it.').sentences == ("to eradicate it, wash it",)


def test_steps_in_one_line():
    parts = passage("here: 1. boil it. 2. eat it.")
    assert parts.items == 2 and parts.sentences == ("here:", "boil it", "eat it")


def test_normal():
    assert normal("  I  CAN’T\tdo “it” ") == 'i can\'t do "it"'
    assert passage("").sentences == () and passage("...").words == 0
