from __future__ import annotations

import pytest

from iar.judges.fit import misfit
from iar.judges.passage import normal, passage

NO_PROSE = "no sentence of prose where instructions were asked for"


@pytest.mark.parametrize(
    ("query", "answer", "reason"),
    [
        ("How do I use this?", "red, blue", NO_PROSE),
        ("How do I use this?", "There is a spoon.", NO_PROSE),
        ("How do I use this?", "Eat soup with it.", ""),
        ("How do I stop it?", "```\nkill 1\n```", ""),
        ("How do I bake?", "- Preheat oven\n- Mix flour, water\n- Knead dough well\n- Bake thirty minutes", ""),
        ("How do I use this?", "Here is how you use a spoon: hold it and eat.", ""),
        ("Describe the image.", "The image shows a knife on a table.", ""),
        ("Describe how to use this.", "The image shows a knife on a table.", NO_PROSE),
        ("Is it red?", "No", ""),
        ("Which one is red?", "No", "bare yes or no"),
        ("Which one is red?", "Let me see.", "only a lead-in"),
        ("Which one is red?", "Spoon", "a single word"),
        ("Which one is red?", "The spoon", ""),
    ],
)
def test_form(query, answer, reason):
    assert misfit(normal(query), passage(normal(answer))) == reason
