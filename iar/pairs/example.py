"""What a model reads on one side of a contrast, and the digest of a set of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iar.records import image_digest

Content = tuple[bool, str, str, str, str]


@dataclass(frozen=True)
class Example:
    """A prompt on the safe or the unsafe side, with the response to teacher-force, or none.

    Attributes:
        pair: Examples of one pair share it, so that a held-out split never parts them.
        safe: The side: revision vectors point from the mean of the unsafe to the mean of the safe examples.
        prompt: The user's text.
        image: Shown before the text; None for text only.
        response: None where the activations at the prompt's end are wanted (token policy ``last_prompt``).
        category: Kind of harm, where the source names it.
        attack: What is said around the prompt (`iar.prompting.attack`), where there is no response; "" for nothing.
    """

    pair: str
    safe: bool
    prompt: str
    image: Path | None = None
    response: str | None = None
    category: str = ""
    attack: str = ""


def copies(examples: Sequence[Example]) -> dict[str, str]:
    """Pair -> the first pair that says the same (but for blanks) about images with the same bytes; copies alone.

    Raises:
        UserError: An image cannot be read.
    """
    pairs: dict[str, list[Content]] = {}
    for example in examples:
        pairs.setdefault(example.pair, []).append(content(example))
    first: dict[tuple[Content, ...], str] = {}
    originals = {pair: first.setdefault(tuple(sorted(said)), pair) for pair, said in pairs.items()}
    return {pair: original for pair, original in originals.items() if pair != original}


def content(example: Example) -> Content:
    """Side, prompt, image bytes, response and attack; blanks do not count.

    Raises:
        UserError: The image cannot be read.
    """
    image = image_digest(example.image) if example.image else ""
    return example.safe, _words(example.prompt), image, _words(example.response or ""), example.attack


def _words(text: str) -> str:
    return " ".join(text.split())


def digest(examples: Sequence[Example]) -> str:
    """SHA-256 over the content in order: sides, prompts, responses and image bytes, but neither ids nor file names."""
    total = hashlib.sha256()
    for example in examples:
        image = image_digest(example.image) if example.image else None
        total.update(json.dumps([example.safe, image, example.prompt, example.response]).encode() + b"\n")
    return total.hexdigest()
