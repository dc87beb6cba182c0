from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from benchmark.pocket import questions, scenes


@pytest.mark.parametrize("how", questions.NEGATIVES)
def test_negatives_are_absent(how):
    rng = Random(0)
    for _ in range(200):
        present = scenes.pick(rng, 3)
        other = questions.absent(rng, present, how)
        assert other not in present
        if how == "popular":
            assert other in scenes.COMMON
        if how == "adversarial":
            twins = {scenes.TWIN[name] for name in present if name in scenes.TWIN} - set(present)
            assert other in twins or not twins


def test_letters_are_balanced_and_the_answer_is_right():
    rng = Random(1)
    letters: Counter[str] = Counter()
    for i in range(900):
        choice = questions.image_choice(rng) if i % 2 else questions.text_choice(rng, "test")
        letters[choice.letter] += 1
        assert len(set(choice.options)) == 3
        right = choice.options[choice.answer]
        if choice.scene is None:
            assert right in questions.KINDS[choice.topic]
            others = [o for o in choice.options if o != right]
            assert not set(others) & set(questions.KINDS[choice.topic])
        else:
            names = [item.name for item in choice.scene.items]
            colours = [item.colour for item in choice.scene.items]
            known = {"objects": names, "colors": colours, "counting": [str(len(names))]}
            assert right in known[choice.topic]
            if choice.topic == "objects":
                assert sum(option in names for option in choice.options) == 1
    assert set(letters) == {"A", "B", "C"} and min(letters.values()) > 260


def test_text_choices_of_the_splits_share_no_stem_and_word():
    asked = {
        split: {(c.stem, c.options[c.answer]) for c in (questions.text_choice(Random(i), split) for i in range(200))}
        for split in ("train", "validation", "test")
    }
    assert not asked["train"] & asked["test"]
    assert not asked["train"] & asked["validation"]
    assert not asked["validation"] & asked["test"]


def test_presence():
    assert questions.presence("apple") == "Is there an apple in the image?"
