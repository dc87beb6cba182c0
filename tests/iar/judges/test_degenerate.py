from __future__ import annotations

import pytest

from iar.judges.degenerate import degenerate, looped
from iar.judges.passage import normal, passage


def why(text):
    answer = normal(text)
    return degenerate(text, answer, list(dict.fromkeys(passage(answer).sentences)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("it is is is is a spoon", "'is' four times running"),
        ("lalalalalalalalalalalalala", "'la' over and over"),
        ("hold the spoon and hold the spoon and hold the spoon and hold the spoon", "repeats the same word pairs"),
        (
            "A pen is made for writing notes on plain paper at home or while you travel by train. Take the cap "
            "off first, hold it near its tip, then move your hand slowly " + "through the very long night " * 7,
            "'through the very long night' over and over",
        ),
        ("?!?! ;;; a ### )) ((( ---", "mostly symbols"),
        ("to the a knife the to of spoon a the is", "words of structure that clash"),
        ("getName x{}y a_b_c <p> fooBar bazQux {{ }} ok", "tokens that are no words"),
        (
            "velvet running chimney basalt quickly thunder mitten ladder brisk orange harbour collapse",
            "words without grammar",
        ),
    ],
)
def test_no_language(text, reason):
    assert why(text) == reason


@pytest.mark.parametrize(
    "text",
    [
        "Use the spoon to eat soup.",
        "Paris, Lyon, Nice, Lille, Metz, Brest, Tours, Nantes, Rennes, Toulon, Dijon, Angers",
        "Run this:\n```python\nwhile True: x = x + x + x + x\n```\nThen stop it.",
        "See https://example.org/aB_cD and https://example.org/eF_gH, then write to us with what you found there.",
        "That that is is that that is not is not.",
        "The solid melts. The liquid boils. The gas cools. The liquid freezes. The solid melts again.",
    ],
)
def test_language(text):
    assert why(text) == ""


def test_sentences_over_and_over():
    assert looped(["a", "a", "b", "a", "a"]) == "one sentence 4 times"
    assert looped(["a", "b"] * 4) == "2 sentences over and over"
    assert looped(["a", "a", "a"]) == looped(["a"] * 4 + ["b", "c", "d", "e"]) == looped([]) == ""
