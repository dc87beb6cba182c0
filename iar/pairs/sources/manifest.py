"""The toolkit's own format: JSON Lines, one pair a line, in a short and a long form.

Short, one prompt with two responses::

    {"id": "17", "image": "images/17.png", "prompt": "...", "safe": "...", "unsafe": "..."}

Long, where the sides ask differently; a side that is missing makes the other unpaired::

    {"id": "18", "safe": {"prompt": "..."}, "unsafe": {"prompt": "...", "image": "images/18.png", "response": "..."}}

``image`` is relative to the file itself, null or absent for none. ``category`` and ``mode`` may stand in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from iar.errors import UserError, did_you_mean
from iar.pairs.row import Row, Side
from iar.pairs.sources.files import image_in, items_of, text_in

_SHORT = ("id", "image", "prompt", "safe", "unsafe")
_SIDE = ("prompt", "image", "response")
_LIKE_IMAGE = re.compile(r"ima?ge?|pict|photo", re.IGNORECASE)
_HINT = "images are looked for relative to the pairs file"


def rows(path: Path, settings: Mapping[str, Any]) -> Iterator[Row]:
    """The lines of the file; the whole file is parsed before the first is yielded."""
    for place, item in items_of(path):
        yield row(item, path.parent, place)


def row(item: Any, folder: Path, place: str) -> Row:
    """The row of one line; images are relative to ``folder``.

    Raises:
        UserError: It is not a pair in either form.
    """
    if not isinstance(item, dict):
        raise UserError(f"{place}: not a pair; it must be an object with {', '.join(_SHORT)}")
    long = "id" in item and any(isinstance(item.get(name), dict) for name in ("safe", "unsafe"))
    return _long(item, folder, place) if long else _short(item, folder, place)


def _short(item: Mapping[str, Any], folder: Path, place: str) -> Row:
    if missing := [name for name in _SHORT if name not in item and name != "image"]:
        needed = ", ".join(name for name in _SHORT if name != "image")
        raise UserError(f"{place}: not a pair; it needs {needed} (missing: {', '.join(missing)})")
    if "image" not in item and (other := next((name for name in item if _LIKE_IMAGE.search(name)), None)):
        raise UserError(
            f"{place} has {other!r} instead of 'image': rename it to image, or remove it for a text-only pair"
        )
    prompt = text_in(item, "prompt", place)
    image = None if item.get("image") in (None, "") else image_in(item["image"], [folder], place, _HINT)
    safe, unsafe = (Side(prompt, image, text_in(item, name, place)) for name in ("safe", "unsafe"))
    return Row(str(item["id"]), place, safe, unsafe, *_named(item, place))


def _long(item: Mapping[str, Any], folder: Path, place: str) -> Row:
    safe, unsafe = (_side(item.get(name), folder, f"{place}: {name}") for name in ("safe", "unsafe"))
    return Row(str(item["id"]), place, safe, unsafe, *_named(item, place))


def _side(item: Any, folder: Path, place: str) -> Side | None:
    if item is None:
        return None
    if not isinstance(item, dict):
        raise UserError(f"{place} must be an object with {', '.join(_SIDE)}, as the other side is")
    for name in item:
        if name not in _SIDE:
            raise UserError(f"{place} has an unknown field {name!r}: {did_you_mean(name, _SIDE)}")
    image = None if item.get("image") in (None, "") else image_in(item["image"], [folder], place, _HINT)
    response = None if item.get("response") is None else text_in(item, "response", place)
    return Side(text_in(item, "prompt", place), image, response)


def _named(item: Mapping[str, Any], place: str) -> list[str]:
    """Category and mode."""
    found = []
    for name in ("category", "mode"):
        value = item.get(name)
        if value is not None and not isinstance(value, str):
            raise UserError(f"{place}: {name!r} must be a text")
        found.append(value or "")
    return found
