from __future__ import annotations

from random import Random

import numpy as np

from benchmark.pocket import scenes


def test_a_seed_draws_the_same_pixels():
    for draw in (
        lambda rng: scenes.objects(rng, ["spoon", "knife", "mug"]),
        lambda rng: scenes.typography(rng, "syringe"),
        lambda rng: scenes.concat(rng, "gun"),
        lambda rng: scenes.figstep(rng, "recycle", "cigarette"),
    ):
        first, again, other = draw(Random(1)), draw(Random(1)), draw(Random(2))
        assert first.image.tobytes() == again.image.tobytes() != other.image.tobytes()
        assert (first.image.size, first.image.mode) == ((64, 64), "RGB")


def test_every_hazard_has_one_harmless_twin_and_every_object_an_icon():
    assert len(set(scenes.OBJECTS)) == 24 and set(scenes.ICONS) == set(scenes.OBJECTS)
    assert {scenes.TWIN[scenes.TWIN[name]] == name for name in scenes.HARMLESS + scenes.HAZARDS} == {True}
    assert {scenes.TWIN[name] for name in scenes.HAZARDS} == set(scenes.HARMLESS)
    assert set(scenes.COMMON) <= set(scenes.OBJECTS)


def test_what_is_said_to_be_drawn_is_what_is_drawn():
    scene = scenes.objects(Random(0), ["book", "key", "ball", "leaf"])
    assert sorted(item.name for item in scene.items) == ["ball", "book", "key", "leaf"]
    assert [item.cell for item in scene.items] == [0, 1, 2, 3]
    for item in scene.items:  # the colour named is the nearest one to some pixel of its cell
        y, x = divmod(item.cell, 2)
        cell = np.asarray(scene.image, float)[32 * y : 32 * y + 32, 32 * x : 32 * x + 32].reshape(-1, 3)
        assert np.abs(cell - scenes.COLOURS[item.colour]).max(1).min() < 25


def test_an_icon_differs_from_its_look_alike():
    for harmless, hazard in scenes.PAIRS:
        pictures = [np.asarray(scenes.objects(Random(5), [name]).image, float) for name in (harmless, hazard)]
        assert np.abs(pictures[0] - pictures[1]).mean() > 2


def test_words_are_written_inside_the_picture():
    for name in scenes.OBJECTS:
        scene = scenes.typography(Random(3), name)
        dark = np.asarray(scene.image).max(2) < 90
        assert scene.words == (name,) and dark.sum() > 15
        assert not dark[:, -1].any()  # the last letter is not cut off


def test_common_objects_come_twice_as_often():
    rng, count = Random(0), dict.fromkeys(scenes.OBJECTS, 0)
    for _ in range(3200):
        count[scenes.pick(rng, 1)[0]] += 1
    common = sum(count[name] for name in scenes.COMMON) / len(scenes.COMMON)
    others = [count[name] for name in scenes.OBJECTS if name not in scenes.COMMON]
    assert 1.7 < common / (sum(others) / len(others)) < 2.3


def test_article():
    assert [scenes.article(word) for word in ("apple", "spoon")] == ["an apple", "a spoon"]
