from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.sample import Sample
from iar.errors import UserError
from iar.prompting import few_shot
from iar.prompting.conversation import Turn
from iar.prompting.few_shot import Demonstrations

CATEGORIES = ("drugs", "drugs", "Illegal Activities", "", "drugs")


def sample(prompt: str = "Is it?", *images: Path, category: str = "random", groups: tuple[str, ...] = ()) -> Sample:
    return Sample("1", "pope", category, prompt, images, "yes", "1", prompt, {}, groups)


@pytest.fixture
def lines(images: list[Path]) -> list[dict[str, Any]]:
    """Five pairs; 0 to 3 have images on both sides."""
    found = []
    for i, category in enumerate(CATEGORIES):
        shown = str(images[i % 3]) if i < 4 else None
        safe = {"prompt": f"How do I use spoon {i}?", "image": shown, "response": f"Eat soup {i}."}
        unsafe = {"prompt": f"How do I use knife {i}?", "image": shown, "response": f"I cannot help {i}."}
        found.append({"id": f"p{i}", "category": category, "safe": safe, "unsafe": unsafe})
    return found


@pytest.fixture
def write(tmp_path: Path) -> Callable[[list[dict[str, Any]]], Path]:
    def write(lines: list[dict[str, Any]]) -> Path:
        path = tmp_path / "demonstrations.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


@pytest.fixture
def found(lines: list[dict[str, Any]], write: Callable[..., Path]) -> Demonstrations:
    return few_shot.read(write(lines))


def ids(demonstrations: Demonstrations, asked: Sample, shots: int, by: str = "seed", seed: int = 0) -> list[str]:
    """Of the pairs shown: the digit that ends their texts."""
    turns = demonstrations.turns(asked, shots, by, seed)
    assert [turn.role for turn in turns] == ["user", "assistant"] * (2 * shots)
    return [turn.text.rstrip("?").rstrip(".")[-1] for turn in turns[::4]]


def test_a_shot_is_a_safe_and_an_unsafe_turn_with_their_images(found: Demonstrations, images: list[Path]) -> None:
    turns = found.turns(sample(), 2, "seed", 0)
    assert len(turns) == 8 and {turn.images for turn in turns[1::2]} == {()}
    for turn in turns[::2]:
        number = int(turn.text[-2])
        assert turn.images == (images[number % 3],)
    # the safe one stands first in every other shot, and in the other ones with the next seed
    kinds = [["spoon" in turn.text for turn in found.turns(sample(), 2, "seed", seed)[::2]] for seed in (0, 1, 2)]
    assert kinds == [[True, False, False, True], [False, True, True, False], [True, False, False, True]]
    for asked, answered in zip(turns[::2], turns[1::2], strict=True):
        assert answered == Turn(
            "assistant", f"{'Eat soup' if 'spoon' in asked.text else 'I cannot help'} {asked.text[-2]}."
        )


def test_by_seed_all_questions_see_the_same(found: Demonstrations, lines: Any, write: Any) -> None:
    first = ids(found, sample(), 3)
    assert first == ids(found, sample("Who?", category="drugs"), 3)
    assert len(set(first)) == 3 and {"4"}.isdisjoint(first)  # without images, where others have some
    orders = {tuple(ids(found, sample(), 3, seed=seed)) for seed in range(12)}
    assert len(orders) > 5
    assert ids(found, sample(), 2) == first[:2]  # more shots go on where fewer end
    assert ids(few_shot.read(write(lines[::-1])), sample(), 3) == first  # the file's order does not matter


def test_by_category_those_of_the_question_come_first(found: Demonstrations) -> None:
    for seed in range(6):
        assert set(ids(found, sample(category="drugs"), 2, "category", seed)) == {"0", "1"}
        assert ids(found, sample(category="illegal_activities"), 1, "category", seed) == ["2"]
        assert ids(found, sample(category="x", groups=("ILLEGAL activities",)), 1, "category", seed) == ["2"]
        by_seed = ids(found, sample(), 3, seed=seed)
        assert ids(found, sample(category=""), 3, "category", seed) == by_seed  # no category is none of theirs
        filled = ids(found, sample(category="drugs"), 3, "category", seed)
        rest = [number for number in ids(found, sample(), 3, seed=seed) if number not in "01"]
        assert filled[2] in "23" and (not rest or filled[2] == rest[0])
    assert [found.has(sample(category="drugs"), shots) for shots in (1, 2, 3)] == [True, True, False]
    assert not found.has(sample(category=""), 1)


def test_never_the_question_itself_or_its_image(found: Demonstrations, images: list[Path], tmp_path: Path) -> None:
    first, second = ids(found, sample(), 2)
    assert ids(found, sample(f"How do I use knife {first}?"), 1) == [second]
    copy = tmp_path / "copy.png"
    copy.write_bytes(images[int(first) % 3].read_bytes())
    assert first not in ids(found, sample("Who?", copy), 1)
    other = next(image for i, image in enumerate(images) if i != int(first) % 3)
    # the same words about another picture are another question
    assert ids(found, sample(f"How do I use knife {first}?", other), 1)[0] in {first, second}


def test_a_question_that_is_in_every_pair_is_not_asked_with_fewer(lines: Any, write: Any, images: list[Path]) -> None:
    same = [line | {side: line[side] | {"image": str(images[0])} for side in ("safe", "unsafe")} for line in lines[:4]]
    found = few_shot.read(write(same))
    assert len(ids(found, sample("Who?", images[1]), 3)) == 3
    with pytest.raises(
        UserError, match=r"shots=1, but of the demonstrations in .* all but 0 ask the question itself or"
    ):
        found.turns(sample("Who?", images[0]), 1, "seed", 0)


def test_text_alone_where_no_pair_has_images(lines: Any, write: Any) -> None:
    text = few_shot.read(write(lines[4:]))
    assert text.turns(sample(), 1, "seed", 0)[0] == Turn("user", "How do I use spoon 4?")
    with pytest.raises(UserError, match=r"shots=1 needs 2 pairs of demonstrations, one to spare, and .* has 1: take"):
        text.require(1)


def test_the_digest_follows_what_can_be_shown(found: Demonstrations, lines: Any, write: Any, images: Any) -> None:
    def changed(side: str, **fields: Any) -> str:
        again = json.loads(json.dumps(lines))
        again[1][side] |= fields
        return few_shot.read(write(again)).digest

    assert found.digest == few_shot.read(write(lines)).digest
    digests = {
        found.digest,
        changed("safe", response="No."),
        changed("unsafe", prompt="x"),
        changed("safe", image=str(images[0])),
    }
    assert len(digests) == 4


def test_files_that_are_none(lines: Any, write: Any, tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(UserError) as error:
            few_shot.read(path)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert refused(tmp_path / "none.jsonl").startswith(
        f"method fewshot needs demonstrations, but {tmp_path}/none.jsonl does not exist: demonstrations=FILE, one JSON"
    )
    bare = [line | {"safe": {"prompt": "a"}} for line in lines]
    assert "holds no demonstrations: none of its pairs has both responses" in refused(write(bare))
    short = {"id": "1", "image": None, "prompt": "How?", "safe": "I cannot.", "unsafe": "Like so."}
    assert "demonstrations.jsonl:1: a pair of responses to one request is not a demonstration" in refused(
        write([short])
    )
    assert "prompt" in refused(write([{"id": "1", "safe": {}, "unsafe": {}}]))


def test_the_pocket_pairs_are_demonstrations(pocket_data: Path) -> None:
    from benchmark.pocket import scenes

    found = few_shot.read(pocket_data / "train/instructions.jsonl")
    assert len(found.pairs) >= 3 and set(found.categories) <= set(scenes.LOOKALIKES)
    for pair in found.pairs:
        assert pair.safe.image and pair.unsafe.image and pair.safe.image != pair.unsafe.image


def test_the_shipped_pairs_are_short_answers_and_refusals() -> None:
    shipped = few_shot.read(Path(few_shot.SHIPPED))
    assert len(shipped.pairs) == 12 and len(shipped.categories) == 12
    for pair in shipped.pairs:
        assert pair.safe.image is None and pair.unsafe.image is None
        assert pair.unsafe.response and pair.unsafe.response.startswith("I can't help with")
        assert pair.safe.response and not pair.safe.response.startswith("I ")
    assert len(shipped.turns(sample(), 2, "seed", 0)) == 8
