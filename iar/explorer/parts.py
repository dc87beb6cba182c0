"""The data of a page in parts: JSON, deflated, in base64. Each stands inside the page, or in a file beside it.

A page that is opened from disk may not read other files, but it may run scripts. A part beside the page is therefore a
script of one call with three strings, and the content policy of the page lets it be nothing else than that.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from iar.records import text_file

SUFFIX = ".js"
_NAME = re.compile(r"[a-z]+[0-9]*")  # of a part; our own files, and no others, are removed when a page is written anew


class Part(NamedTuple):
    """A name (``core``, ``answers3``, ``images0``) and the content, packed. Base64 has no ``<``: nothing to escape."""

    name: str
    packed: str


def pack(name: str, content: Any) -> Part:
    """A part of plain data.

    Raises:
        ValueError: NaN or infinity, which JSON does not know.
    """
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)  # ASCII: lone surrogates travel too
    return Part(name, base64.b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii"))


def unpack(part: Part) -> Any:
    """The content of a part."""
    return json.loads(zlib.decompress(base64.b64decode(part.packed)))


def divide(parts: Iterable[Part], room: int) -> tuple[list[Part], list[Part]]:
    """Those that stand inside the page, at most ``room`` bytes of them, and those beside it. The first always stands
    inside; after one that does not fit, none does."""
    inside: list[Part] = []
    beside: list[Part] = []
    for part in parts:
        room -= len(part.packed)
        (inside if not inside or (room >= 0 and not beside) else beside).append(part)
    return inside, beside


def write(folder: Path, token: str, parts: Iterable[Part]) -> list[Path]:
    """The parts as scripts in a folder, which holds no others afterwards; no parts, no folder.

    Args:
        token: Names the page that they belong to: parts of another page are told from its own.
    """
    files = {folder / f"{part.name}{SUFFIX}": part for part in parts}
    if folder.is_dir():
        for file in folder.glob(f"*{SUFFIX}"):
            if file not in files and _NAME.fullmatch(file.stem):
                file.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    if files:
        folder.mkdir(parents=True, exist_ok=True)
    for file, part in files.items():
        text_file.write(file, f'iarPart("{token}","{part.name}","{part.packed}");\n')
    return list(files)
