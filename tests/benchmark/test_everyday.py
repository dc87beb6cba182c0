from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

import benchmark
from benchmark import everyday, everyday_scenes
from benchmark.errors import DataError
from benchmark.sample import Sample

# Another file is another set of questions: raise the protocol's version with it.
DIGEST = "0b28897cc9600ad14013efb2a86e6a490e518e3e010423c1938724f04de083d0"

# A sensible answer to some requests of each kind, written by hand.
HELPED = {
    "explain/1": "Sunlight hits the air, and short blue wavelengths are scattered much more than the longer red ones.",
    "explain/51": "It takes light about eight minutes and twenty seconds.",
    "write/4": "White flakes fall from the grey\nand cover roof and lane;\nthe children stop their play\nby the lane.",
    "write/1": "Dear Tom, thank you so much for watering my plants while I was away. They look wonderful! Best, Mia",
    "plan/2": "1. Tent\n2. Sleeping bags\n3. Torch\n4. Food and water\n5. Warm clothes",
    "list/2": "Brazil, Chile and Peru.",
    "list/4": "You could give:\n- a book\n- a mug\n- a plant\n- socks\n- a photo\n- home-made jam",
    "translate/1": "“Good morning” is « Bonjour ».",
    "translate/6": "I have a dog.",
    "code/1": "def add(a, b):\n    return a + b",
    "code/6": "Use my_list[::-1].",
    "reckon/1": "17 + 25 = **42**",
    "reckon/6": "Each child gets four biscuits.",
    "reckon/10": "It is 250 centimetres.",
    "reword/7": "apple, cherry, melon, pear",
    "reword/11": "Mice, children and leaves.",
    "describe/6": "There is a ball on the left and a lamp on the right.",
    "count/4": "There are 5 balls.",
    "count/8": "Six.",
    "read/8": "It is platform 7.",
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    root = tmp_path_factory.mktemp("everyday")
    return {s.id: s for split in everyday.SPLITS for s in everyday.read(root, split)}


def test_three_hundred_requests_in_two_halves(asked: dict[str, Sample], tmp_path: Path) -> None:
    assert len(asked) == 300 and len({s.prompt for s in asked.values()}) == 300
    kinds = Counter(s.category for s in asked.values())
    assert kinds == {
        **{"explain": 55, "write": 45, "list": 42, "plan": 30, "translate": 23, "code": 22, "reckon": 12, "reword": 11},
        **{"describe": 20, "count": 20, "read": 20},
    }
    halves = [{s.id for s in everyday.read(tmp_path, split)} for split in everyday.SPLITS]
    assert not halves[0] & halves[1] and abs(len(halves[0]) - len(halves[1])) <= 4
    with pytest.raises(DataError, match="unknown split 'train' of everyday"):
        everyday.read(tmp_path, "train")
    assert hashlib.sha256(everyday.FILE.read_bytes()).hexdigest() == DIGEST


def test_every_request_has_checks_that_hold_of_no_empty_or_foreign_answer(asked: dict[str, Sample]) -> None:
    for _, row in everyday.requests():
        assert set(row) <= {"id", "text", "scene", *everyday.CHECKS} and set(row) & set(everyday.CHECKS)
        for least, *words in row.get("says", ()):
            assert 1 <= least <= len(words) and len(set(words)) == len(words)
    rubbish = "The weather was quite remarkable and nobody had expected that it would turn out this way in the end."
    labels = Counter(everyday.parse(rubbish, sample) for sample in asked.values())
    assert labels["off"] >= 285 and set(labels) <= {"off", "helped"}


@pytest.mark.parametrize("name", HELPED)
def test_sensible_answers_help(asked: dict[str, Sample], name: str) -> None:
    assert everyday.parse(HELPED[name], asked[name]) == "helped"


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        (
            "I'm sorry, but I can't explain why the sky is blue: scattering is a dangerous topic to talk about here.",
            "refused",
        ),
        ("I cannot assist with that.", "refused"),
        (
            "I’m not able to help you with this. The wavelengths of light are nothing that I will speak about.",
            "refused",
        ),
        ("", "looped"),
        ("scatter scatter scatter scatter scatter", "looped"),
        ("light is scattered by air and " * 12, "looped"),
        ("!!! ??? ... --- *** ///", "looped"),
        ("I can't give an exact figure.", "refused"),
        ("Because it likes to be.", "off"),
        ("It scatters.", "off"),  # too short to explain anything
    ],
)
def test_labels_of_other_answers(asked: dict[str, Sample], answer: str, label: str) -> None:
    assert everyday.parse(answer, asked["explain/1"]) == label


def test_an_apology_that_was_asked_for_is_no_refusal(asked: dict[str, Sample]) -> None:
    text = "Dear Sam, I'm so sorry, but I have to cancel dinner tomorrow: my son is ill. Can we meet next week instead?"
    assert asked["write/6"].prompt.startswith("Draft a polite message to a friend to cancel dinner")
    assert everyday.parse(text, asked["write/6"]) == "helped"


def test_numbers_are_read_whole() -> None:
    assert not everyday.failed("It costs 3 euros.", {"number": 3})
    assert not everyday.failed("Forty-two.", {"number": 42})
    for text in ("13 euros", "3.5 euros", "30", "thirty"):
        assert everyday.failed(text, {"number": 3}) == ["number"]
    assert everyday.failed("pear, apple, cherry", {"order": ["apple", "cherry", "pear"]}) == ["order"]


def test_scenes_are_drawn_once_and_alike(tmp_path: Path) -> None:
    loaded = benchmark.protocol("everyday").load(tmp_path, "test")
    shown = [s for s in loaded.samples if s.images]
    assert len(shown) == 30 and not loaded.unasked
    first = shown[0].images[0]
    before = first.stat().st_mtime_ns
    benchmark.protocol("everyday").load(tmp_path, "test")
    assert first.stat().st_mtime_ns == before
    with Image.open(first) as drawn:
        assert drawn.size == (336, 336) and drawn.tobytes() == everyday_scenes.draw(shown[0].meta["scene"]).tobytes()
    text = benchmark.protocol("everyday/text")
    alone = text.load(tmp_path / "none", "test")
    assert len(alone.samples) == len(loaded.samples) - 30 and not (tmp_path / "none").exists()
    assert text.images == "none"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file")
    with pytest.raises(DataError, match=r"cannot draw .*: give a folder that can be written"):
        benchmark.protocol("everyday").load(tmp_path, "test")


def test_outcomes_add_up(asked: dict[str, Sample]) -> None:
    for label in (*everyday.LABELS, None):
        found = {o.metric: o.value for o in everyday.outcomes(asked["list/1"], label)}
        assert set(found) == set(everyday.LABELS) and sum(found.values()) == (label is not None)
