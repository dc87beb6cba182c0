"""Few-shot: a shot is a pair of demonstrations, a safe request with its answer and an unsafe one with a refusal.

So 2 shots are four answered turns before the question, as VSCBench's code iterates them (arXiv 2505.20362; which
demonstrations it used is not known). They come from a file in the long form of `iar.pairs.sources.manifest`::

    {"id": "7", "category": "drugs", "safe": {"prompt": "...", "image": "a.png", "response": "..."},
                                     "unsafe": {"prompt": "...", "image": "b.png", "response": "..."}}

Their order is drawn from the seed and the lines' ids alone, so that a line more or less moves no other.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from benchmark.sample import Sample
from iar import records
from iar.errors import UserError
from iar.pairs import sources
from iar.pairs.row import Side
from iar.prompting.conversation import Conversation, Turn

BY = ("seed", "category")
SHIPPED = "shipped"  # demonstrations=shipped: the package's own pairs, without images
_OWN = Path(__file__).with_name("demonstrations.jsonl")
FORMAT = (
    'one JSON object a line, {"id", "category", "safe": {"prompt", "image", "response"}, "unsafe": {"prompt", "image", '
    '"response"}}, its unsafe response a refusal'
)

ASK = f"demonstrations=FILE, {FORMAT}; demonstrations={SHIPPED} takes the package's own, which have no images"


@dataclass(frozen=True)
class Demonstration:
    """A safe-unsafe pair: both sides have a response."""

    id: str
    category: str
    safe: Side
    unsafe: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.safe, self.unsafe


class Demonstrations:
    """The pairs of a file, to choose from.

    Attributes:
        path: The file, for messages.
        pairs: In the file's order. Where any pair has an image on both sides, only such.
    """

    def __init__(self, path: Path, pairs: tuple[Demonstration, ...]) -> None:
        self.path = path
        self.pairs = pairs
        self._orders: dict[tuple[int, frozenset[str]], list[Demonstration]] = {}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that a conversation can hold of them, the images' bytes included."""
        return records.key(
            pairs=[
                [pair.id, pair.category]
                + [[s.prompt, s.response, records.image_digest(s.image) if s.image else None] for s in pair.sides]
                for pair in self.pairs
            ]
        )

    @cached_property
    def categories(self) -> Counter[str]:
        """How many pairs each category has."""
        return Counter(word(pair.category) for pair in self.pairs)

    def require(self, shots: int) -> None:
        """Raises what the file is too small for; a pair is left for the question that is itself in it.

        Raises:
            UserError: Fewer pairs than shots, and one more.
        """
        if len(self.pairs) <= shots:
            raise UserError(
                f"shots={shots} needs {shots + 1} pairs of demonstrations, one to spare, "
                f"and {self.path} has {len(self.pairs)}: take fewer shots or another file (demonstrations=FILE)"
            )

    def turns(self, sample: Sample, shots: int, by: str, seed: int) -> Conversation:
        """The demonstrations before a question, as answered turns; the safe and the unsafe one come first in turn.

        Raises:
            UserError: Too few are left without those that ask the question itself or show its image.
        """
        found: list[Turn] = []
        for number, pair in enumerate(self._chosen(sample, shots, by, seed)):
            for side in pair.sides if (seed + number) % 2 == 0 else pair.sides[::-1]:
                found.append(Turn("user", side.prompt, (side.image,) if side.image else ()))
                found.append(Turn("assistant", side.response or ""))
        return tuple(found)

    def has(self, sample: Sample, shots: int) -> bool:
        """Whether the question's category has as many pairs as shots; else the rest is chosen by seed."""
        return sum(self.categories[name] for name in _categories(sample)) >= shots

    def _chosen(self, sample: Sample, shots: int, by: str, seed: int) -> list[Demonstration]:
        order = self._order(seed, _categories(sample) if by == "category" else frozenset())
        found = list(islice((pair for pair in order if not _is_the_question(pair, sample)), shots))
        if len(found) < shots:
            raise UserError(
                f"shots={shots}, but of the demonstrations in {self.path} all but {len(found)} ask the question itself "
                "or show its image"
            )
        return found

    def _order(self, seed: int, first: frozenset[str]) -> list[Demonstration]:
        """The seed's order; pairs of the categories ``first`` stand before the rest, each part in that order."""
        at = (seed, first.intersection(self.categories))
        if at not in self._orders:
            drawn = sorted(self.pairs, key=lambda pair: hashlib.sha256(f"{seed}/{pair.id}".encode()).digest())
            self._orders[at] = sorted(drawn, key=lambda pair: word(pair.category) not in at[1])
        return self._orders[at]


def read(path: Path) -> Demonstrations:
    """The demonstrations of a file, or the package's own (``shipped``).

    Raises:
        UserError: It is missing or broken, or holds no pair with a response on both sides.
    """
    if str(path) == SHIPPED:
        path = _OWN
    if not path.is_file():
        raise UserError(f"method fewshot needs demonstrations, but {path} does not exist: {ASK}")
    rows = list(sources.rows({"path": path, "format": "manifest"}))
    for row in rows:
        if row.safe and row.unsafe and (row.safe.prompt, row.safe.image) == (row.unsafe.prompt, row.unsafe.image):
            raise UserError(
                f"{row.place}: a pair of responses to one request is not a demonstration: it needs {FORMAT}"
            )
    pairs = tuple(
        Demonstration(row.id, row.category, row.safe, row.unsafe)
        for row in rows
        if row.safe and row.unsafe and row.safe.response and row.unsafe.response
    )
    if not pairs:
        raise UserError(f"{path} holds no demonstrations: none of its pairs has both responses: it needs {FORMAT}")
    pictured = tuple(pair for pair in pairs if pair.safe.image and pair.unsafe.image)
    return Demonstrations(path, pictured or pairs)


def word(category: str) -> str:
    """A category's name as it is compared: ``Illegal Activities`` is ``illegal_activities``."""
    return re.sub(r"[^a-z0-9]+", "_", category.casefold()).strip("_")


def _categories(sample: Sample) -> frozenset[str]:
    return frozenset(word(name) for name in (sample.category, *sample.groups)) - {""}


def _is_the_question(pair: Demonstration, sample: Sample) -> bool:
    """Whether a side shows one of the question's images, or asks its text where either has no image."""
    shown = {records.image_digest(path) for path in sample.images}
    for side in pair.sides:
        if side.image and records.image_digest(side.image) in shown:
            return True
        if side.prompt in (sample.prompt, sample.query) and not (side.image and sample.images):
            return True
    return False
