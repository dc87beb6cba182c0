"""Questions of ability: is the object there (POPE), and multiple choice with or without a picture (ScienceQA)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from benchmark.pocket import scenes
from benchmark.pocket.requests import Split, split_of
from benchmark.scienceqa import LETTERS

NEGATIVES = ("random", "popular", "adversarial")
KINDS = {
    "animal": ("dog", "cat", "horse", "fish", "bird", "mouse", "cow"),
    "fruit": ("banana", "grape", "lemon", "pear", "peach", "mango", "cherry"),
    "tool": ("hammer", "saw", "shovel", "axe", "rake", "plow"),
    "planet": ("mars", "venus", "saturn", "jupiter", "mercury", "neptune"),
    "metal": ("iron", "gold", "copper", "silver", "zinc", "tin"),
    "liquid": ("milk", "oil", "juice", "tea", "vinegar", "honey"),
    "plant": ("tree", "moss", "fern", "grass", "rose", "cactus"),
    "gas": ("oxygen", "helium", "nitrogen", "steam", "argon"),
}
TEXT_STEMS = ("Which of these is a {c}?", "Which one is a kind of {c}?", "Select the {c}.", "Which word names a {c}?")
IMAGE_STEMS = ("Which object is in the picture?", "What is the color of the {o}?", "How many objects are there?")


@dataclass(frozen=True)
class Choice:
    """A multiple-choice question; `answer` indexes `options`."""

    stem: str
    options: tuple[str, ...]
    answer: int
    scene: scenes.Scene | None
    topic: str
    hint: str = ""

    @property
    def letter(self) -> str:
        return LETTERS[self.answer]


def presence(name: str) -> str:
    """POPE's question."""
    return f"Is there {scenes.article(name)} in the image?"


def absent(rng: Random, present: Sequence[str], how: str) -> str:
    """An object that is not there: any, a common one, or the look-alike of one that is (POPE's three settings)."""
    others = [name for name in scenes.OBJECTS if name not in present]
    preferred = {
        "random": others,
        "popular": [name for name in scenes.COMMON if name not in present],
        "adversarial": [scenes.TWIN[name] for name in present if scenes.TWIN.get(name) in others],
    }[how]
    return rng.choice(preferred or others)


def _choice(rng: Random, stem: str, right: str, wrong: Sequence[str], scene: scenes.Scene | None, topic: str) -> Choice:
    options = [right, *wrong]
    rng.shuffle(options)
    return Choice(stem, tuple(options), options.index(right), scene, topic)


def text_choice(rng: Random, split: Split) -> Choice:
    """Which of three words belongs to the kind; a (stem, word) belongs to one split."""
    while True:
        kind, stem = rng.choice(tuple(KINDS)), rng.choice(TEXT_STEMS)
        right = rng.choice(KINDS[kind])
        if split_of("choice", stem, right) == split:
            break
    wrong = [rng.choice(KINDS[other]) for other in rng.sample([other for other in KINDS if other != kind], 2)]
    return _choice(rng, stem.format(c=kind), right, wrong, None, kind)


def image_choice(rng: Random, scene: scenes.Scene | None = None) -> Choice:
    """What is there, in what colour, or how many, about `scene` or a new one."""
    scene = scene or scenes.random_scene(rng)
    item, present = rng.choice(scene.items), [item.name for item in scene.items]
    stem = rng.choices(IMAGE_STEMS, (5, 4, 2))[0]
    if stem == IMAGE_STEMS[0]:
        wrong = rng.sample([name for name in scenes.OBJECTS if name not in present], 2)
        return _choice(rng, stem, item.name, wrong, scene, "objects")
    if stem == IMAGE_STEMS[1]:
        wrong = rng.sample([colour for colour in scenes.COLOURS if colour != item.colour], 2)
        return _choice(rng, stem.format(o=item.name), item.colour, wrong, scene, "colors")
    count = str(len(scene.items))
    return _choice(rng, stem, count, [n for n in "123" if n != count], scene, "counting")
