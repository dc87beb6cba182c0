"""Content keys: a record is reused only when everything that could change the answer is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmark import drawing
from benchmark.errors import DataError
from iar.errors import UserError


def key(**canonical: Any) -> str:
    """SHA-256 (hex) over the canonical JSON of the named parts: sorted keys, no spaces, ASCII.

    A whole number counts the same as int or float, so ``strength=2`` and ``strength=2.0`` share a key; tuples count
    as lists. Paths and other objects are refused: what belongs in a key is a file's content, not its place.

    Raises:
        TypeError: A part is not plain data (None, bool, number, string, list, mapping with string keys).
        ValueError: A part is NaN or infinite.

    >>> key(model="m", strength=2) == key(strength=2.0, model="m")
    True
    """
    text = json.dumps(_plain(canonical), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def image_digest(path: str | Path) -> str:
    """SHA-256 (hex) of an image file's bytes; read once as long as the file's size and time stay the same.

    Where models see another picture than in earlier versions (`benchmark.drawing`), the drawing's version stands behind
    it, so that answers to the former picture are not taken for answers to this one.

    Raises:
        UserError: The file is missing or cannot be read; the message names it.
    """
    try:
        drawing.regular(path)
        status = Path(path).stat()
        return _digest(str(path), status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise UserError(f"cannot read image {path}: {drawing.reason(error)}") from error


@lru_cache(maxsize=1 << 16)
def _digest(path: str, mtime_ns: int, size: int) -> str:
    content = Path(path).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    try:
        with drawing.opened(path, content) as image:
            return f"{digest}+drawing@{drawing.VERSION}" if drawing.differs(image) else digest
    except DataError:  # told where it is drawn
        return digest


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError(f"a mapping in a key needs string names, got {sorted(map(repr, value))}")
        return {name: _plain(item) for name, item in value.items()}
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be part of a key")
