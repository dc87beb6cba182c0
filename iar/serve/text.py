"""The text of an answer while it grows: what stands already, whatever follows."""

from __future__ import annotations

from collections.abc import Sequence


def cut(text: str, stops: Sequence[str]) -> str:
    """The text up to the first that ends it, which is not part of it.

    >>> cut("Yes.\\nQ: more", ["Q:", "\\n"])
    'Yes.'
    """
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def settled(text: str, stops: Sequence[str]) -> str:
    """What a longer text begins with too: no blanks at its end, no half of a character, no beginning of a stop.

    >>> settled("Yes. ", []), settled("caf\\ufffd", []), settled("a ##", ["###"])
    ('Yes.', 'caf', 'a')
    """
    held = max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
    return text[: len(text) - held].rstrip("\ufffd").rstrip()
