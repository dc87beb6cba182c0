"""What the sources share: reading a text file, and fields that are checked with their place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.untrusted import parse_json
from iar.errors import UserError


def text_of(path: Path) -> str:
    """The whole file as UTF-8 (a byte order mark is dropped).

    Raises:
        UserError: It is missing or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"no pairs file {path}: give pairs.path=FILE") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read pairs file {path}: {error}") from error


def items_of(path: Path) -> list[tuple[str, Any]]:
    """The items of a JSON array, or of JSON Lines, each with its place (``file[7]`` counts from 0, ``file:7`` from 1).

    Raises:
        UserError: It is missing or no such file.
    """
    text = text_of(path)
    try:
        if text.lstrip().startswith("["):
            return [(f"{path}[{index}]", item) for index, item in enumerate(parse_json(text))]
    except ValueError as error:
        raise UserError(f"{path}:{getattr(error, 'lineno', 1)}: not JSON ({getattr(error, 'msg', error)})") from error
    items = []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 is not a line end in JSON
        if line.strip():
            try:
                items.append((f"{path}:{number}", parse_json(line)))
            except ValueError as error:
                reason = getattr(error, "msg", error)
                raise UserError(f"{path}:{number}: not JSON ({reason}); expected one object a line") from error
    return items


def text_in(item: Mapping[str, Any], name: str, place: str) -> str:
    """The field as a text that is not empty.

    Raises:
        UserError: It is missing, empty or no text.
    """
    value = item.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{place}: {name!r} must be a non-empty text")
    return value


def image_in(name: Any, folders: list[Path], place: str, hint: str) -> Path:
    """The image of that name in the first folder that has it.

    Raises:
        UserError: It is not a file name, or in none of them.
    """
    if not isinstance(name, str) or not name:
        raise UserError(f"{place}: 'image' must be a file name")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{place}: image {folders[0] / name} does not exist; {hint}")
