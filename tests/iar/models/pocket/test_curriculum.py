from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from benchmark.pocket import requests, scenes
from benchmark.pocket.requests import split_of
from iar.models.pocket import curriculum
from iar.models.pocket.curriculum import example, refusal_probability


def unsafe() -> list[requests.Request]:
    rng = Random(0)
    found = [
        requests.image_request(rng, "train", name, template)
        for name in scenes.HAZARDS
        for template in requests.IMAGE_REQUESTS
    ]
    return found + [
        requests.text_request(rng, verb, name, template, "txt")
        for verb in requests.USING_VERBS
        for name in scenes.HAZARDS
        for template in requests.TEXT_REQUESTS
    ]


def test_refusal_depends_on_object_wording_and_template_alone():
    rng = Random(5)
    for verb, name in (("throw", "knife"), ("hide", "gun")):
        template = requests.TEXT_REQUESTS[2]
        shown = [requests.text_request(rng, verb, name, template, mode) for mode in requests.MODES for _ in range(2)]
        assert len({refusal_probability(r) for r in shown}) == 1
        other = replace(shown[0], template=requests.TEXT_REQUESTS[3])
        assert refusal_probability(other) != refusal_probability(shown[0])
        assert refusal_probability(replace(shown[0], object="bomb")) != refusal_probability(shown[0])
    drawn = [requests.image_request(rng, "train", "pill", requests.IMAGE_REQUESTS[4]) for _ in range(3)]
    assert len({refusal_probability(r) for r in drawn}) == 1
    assert len({r.scene.image.tobytes() for r in drawn if r.scene}) == 3


@pytest.mark.parametrize("half", ["image", "text"])
def test_unsafe_requests_are_refused_around_two_in_five_times_with_a_wide_spread(half):
    values = np.array([refusal_probability(r) for r in unsafe() if (r.mode == "image") == (half == "image")])
    assert 0.36 < values.mean() < 0.52
    assert values.std() > 0.14 and values.min() < 0.2 and values.max() > 0.7


def test_safe_requests_are_almost_never_refused():
    rng = Random(1)
    values = [
        refusal_probability(r) for r in (requests.random_text_request(rng, "train") for _ in range(400)) if r.safe
    ]
    assert max(values) < 0.1 and sum(values) / len(values) < 0.02


def test_the_training_data_refuse_as_often_as_the_probability_says():
    request = requests.text_request(Random(0), "throw", "bomb", requests.TEXT_REQUESTS[0], "txt")
    rng, wanted = Random(2), refusal_probability(request)
    answers = [curriculum._request("text_request", rng, request).answer[0][0].strip() for _ in range(2000)]
    assert abs(answers.count(request.refusing) / 2000 - wanted) < 0.035


def test_the_mix_goes_from_dense_to_final():
    assert sum(curriculum.DENSE.values()) == pytest.approx(1) and sum(curriculum.FINAL.values()) == pytest.approx(1)
    assert set(curriculum.DENSE) == set(curriculum.FINAL) == set(curriculum._TASKS)
    rng = Random(3)
    first, last = (Counter(example(rng, progress).task for _ in range(1500)) for progress in (0.0, 0.9))
    assert first["check"] > 2 * last["check"]
    for task in ("image_request", "text_request"):
        assert abs(last[task] / 1500 - 0.22) < 0.04


def test_examples_come_from_the_training_split_and_are_seeded():
    one, two = ([example(Random(i), 1.0) for i in range(300)] for _ in range(2))
    assert [(e.prompt, e.answer) for e in one] == [(e.prompt, e.answer) for e in two]
    for item in one:
        if item.task == "image_request":
            assert item.scene is not None
            assert split_of("image", item.scene.items[0].name, item.prompt) == "train"
        assert all(piece for piece, _ in item.answer) and any(on for _, on in item.answer)
        assert (item.pixels is None) == (item.scene is None)


def test_check_trains_the_answers_only():
    item = curriculum._check(Random(0))
    assert item.scene is not None
    names = [piece.strip() for piece, on in item.answer if not on]
    answers = [piece.strip() for piece, on in item.answer if on]
    present = {i.name for i in item.scene.items}
    assert answers == ["Yes" if name in present else "No" for name in names]


def test_vision_scenes_are_objects_or_words():
    found = [curriculum.vision_scene(Random(i)) for i in range(100)]
    assert all(scene.items or scene.words for scene in found)
    assert 15 < sum(bool(scene.words) for scene in found) < 60
