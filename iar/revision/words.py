"""Settings of a revision as command lines and other programs' argument lists give them: words, read as `revise` takes.

layers=9+14,strength=1.5,positions=last      ->      {"layers": (9, 14), "strength": 1.5, "positions": "last"}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from iar.errors import UserError, did_you_mean

_WHOLE = ("heads", "seed", "gate_layer")
_NUMBERS = ("strength", "threshold", "release", "release_threshold")
_NAMES = ("method", "positions", "scale", "gate", "release_if")
SETTINGS = ("layers", *_WHOLE, *_NUMBERS, *_NAMES)


def settings(words: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of `iar.revise`.

    Args:
        words: Texts, or values that are what they should be already. ``layers`` takes ``14``, ``9+14`` and ``[9, 14]``.

    Raises:
        UserError: An unknown setting, or a text that is not a number where there must be one.
    """
    found: dict[str, Any] = {}
    for name, value in words.items():
        if name not in SETTINGS:
            raise UserError(f"unknown setting {name!r}: {did_you_mean(name, SETTINGS)}")
        if name == "layers":
            found[name] = _layers(value)
        elif name in _NAMES:
            found[name] = str(value)
        else:
            found[name] = _number(name, value)
    return found


def _layers(value: Any) -> tuple[int, ...]:
    words = re.split(r"[+, ]+", value.strip("[]() ")) if isinstance(value, str) else value
    try:
        words = [words] if isinstance(words, int) else list(words)
        if any(isinstance(word, (bool, float)) for word in words):
            raise ValueError
        return tuple(int(word) for word in words if word != "")
    except (TypeError, ValueError) as error:
        raise UserError(f"layers={value} must be block numbers, such as layers=14 or layers=9+14") from error


def _number(name: str, value: Any) -> float | int:
    whole = name in _WHOLE
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(str(value)) if whole else float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}={value} must be a {'whole ' if whole else ''}number") from error
