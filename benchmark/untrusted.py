"""JSON of unknown origin: a value of bounded depth whose strings are Unicode text, or one ``ValueError``.

The standard parser alone raises ``RecursionError`` on 100,000 brackets, hands on values too deep to be walked, and
makes lone surrogates of ``\\ud800``, which no file, terminal or path takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

DEPTH = 100
"""Lists and objects inside one another that a value may have; the deepest format read here has 8."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json(text: str | bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON text; a lone surrogate in it becomes U+FFFD.

    Args:
        text: Bytes are UTF-8, UTF-16 or UTF-32.
        pairs: Makes an object of its pairs, which may hold a key twice; None: a ``dict`` in which the last one counts.

    Raises:
        ValueError: Not JSON, nested deeper than `DEPTH`, or a number with more digits than Python reads.

    >>> parse_json("[" * 100_000)
    Traceback (most recent call last):
    ...
    ValueError: nested more than 100 deep
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError(f"nested more than {DEPTH} deep") from None
    surrogates = "\\u" in text or _SURROGATE.search(text) is not None
    return _checked(value, DEPTH, surrogates) if surrogates or text.count("[") + text.count("{") > DEPTH else value


class RepeatedKey(ValueError):
    """One object holds a key twice, so that one of its values would be lost."""


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, for `parse_json`.

    Raises:
        RepeatedKey: Two pairs have the same key.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedKey(f"key {next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return found


def _checked(value: Any, left: int, surrogates: bool) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value) if surrogates else value
    if isinstance(value, (dict, list)) and not left:
        raise ValueError(f"nested more than {DEPTH} deep")
    if isinstance(value, dict):
        return {_checked(name, left, surrogates): _checked(item, left - 1, surrogates) for name, item in value.items()}
    return [_checked(item, left - 1, surrogates) for item in value] if isinstance(value, list) else value
