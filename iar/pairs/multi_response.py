"""Multi-response pairs: the same image and instruction, answered safely and unsafely (IAR, arXiv 2501.16378).

One JSON object a line::

    {"id": "17", "image": "images/17.png", "prompt": "...", "safe": "...", "unsafe": "..."}

``image`` is relative to the file itself; null for a prompt without an image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iar.errors import UserError
from iar.records import image_digest

_FIELDS = ("id", "image", "prompt", "safe", "unsafe")


@dataclass(frozen=True)
class Pair:
    """One prompt (text, perhaps with an image) with a safe and an unsafe response."""

    id: str
    image: Path | None
    prompt: str
    safe: str
    unsafe: str


def read(path: str | Path) -> list[Pair]:
    """Read a JSON Lines file of pairs; blank lines are ignored.

    Raises:
        UserError: The file or an image is missing, or a line is no pair; names file and line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: U+2028 is no line end in JSON
    except FileNotFoundError as error:
        raise UserError(f"no pairs file {path}: give data.pairs=FILE (JSON Lines: {', '.join(_FIELDS)})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read pairs file {path}: {error}") from error
    pairs: dict[str, Pair] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        pair = _parse(line, path, f"{path}:{number}")
        if pair.id in pairs:
            raise UserError(f"{path}:{number}: id {pair.id!r} appears twice; ids must be unique")
        pairs[pair.id] = pair
    if not pairs:
        raise UserError(f"{path} holds no pairs")
    return list(pairs.values())


def digest(pairs: Sequence[Pair]) -> str:
    """SHA-256 over the content in order: prompts, responses and image bytes, but neither ids nor file names."""
    total = hashlib.sha256()
    for pair in pairs:
        image = image_digest(pair.image) if pair.image else None
        total.update(json.dumps([image, pair.prompt, pair.safe, pair.unsafe]).encode() + b"\n")
    return total.hexdigest()


def _parse(line: str, path: Path, place: str) -> Pair:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: not JSON ({error.msg}); expected an object with {', '.join(_FIELDS)}") from error
    if not isinstance(row, dict) or (missing := [name for name in _FIELDS if name not in row]):
        lacking = ", ".join(missing) if isinstance(row, dict) else "all of them"
        raise UserError(f"{place}: not a pair; it needs {', '.join(_FIELDS)} (missing: {lacking})")
    for name in ("prompt", "safe", "unsafe"):
        if not isinstance(row[name], str) or not row[name].strip():
            raise UserError(f"{place}: {name!r} must be a text that is not empty")
    if row["image"] is not None and not isinstance(row["image"], str):
        raise UserError(f"{place}: 'image' must be a file name or null")
    image = path.parent / row["image"] if row["image"] else None
    if image is not None and not image.is_file():
        raise UserError(f"{place}: image {image} does not exist; images are looked for relative to the pairs file")
    return Pair(str(row["id"]), image, row["prompt"], row["safe"], row["unsafe"])
