"""Text that is not an answer because it is not language: empty, symbols, repetition, words without grammar.

Over-steered models write it, and a judge that reads words alone takes it for an answer. All tests look at form only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from iar.judges.passage import words
from iar.judges.vocabulary import COMMON

_CODE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_AGAIN = re.compile(r"(?<![^\W_])([^\W\d_]+)(?:[\s,.!?]+\1(?![^\W_])){3}")
_STRETCHED = re.compile(r"([^\W_]{1,6}?)\1{7,}")
# Two words of structure that no English phrase has side by side: "the of", "of was", "and or", "is are".
_CLASH = re.compile(
    r"\b(?:(?:a|an|the|my|your)\s+(?:a|an|the|is|are|was|were|be|to|of|in|at|by|for|with|from|it|you|and|or|but|then)"
    r"|(?:of|at|by|for|with)\s+(?:is|are|was|were|be|and|or|but|of)|(?:and|or|but)\s+(?:and|or|of)|to\s+(?:is|are|was|of)"
    r"|(is|are|was|were|be)\s+(?!\1\b)(?:is|are|was|were|been))\b"
)
# A token that is not a word: capitals or signs within, or far too long. Links and numbers are words here.
_BROKEN = re.compile(r"[a-z][A-Z]|[^\W_][^\w\s'’.,:/@&+*()\-–—][^\W_]|[{}<>|~^_]{2,}|\w{26,}")
_SIGN = re.compile(r"[\W_]+")
_LINK = re.compile(r"https?:|www\.|\.(?:com|org|net|gov)\b")


def degenerate(raw: str, answer: str, sentences: Sequence[str]) -> str:
    """Why a text is not language, or "".

    Args:
        raw: As the model wrote it.
        answer: Lower case.
        sentences: Of the answer, each once; one sentence said again and again is for ``looped``.
    """
    prose = _CODE.sub(" ", answer)
    text = " ".join(sentences)
    said = words(text)
    if run := _AGAIN.search(prose):
        return f"{run[1]!r} four times running"
    if (stretch := _STRETCHED.search(prose)) and 2 * len(stretch[0]) > len(re.sub(r"\s", "", prose)):
        return f"{stretch[1]!r} over and over"
    pairs = list(pairwise(said))
    if len(pairs) >= 8 and len(set(pairs)) < 0.5 * min(len(pairs), 60):
        return "repeats the same word pairs"
    if 4 * len(set(pairs)) < 3 * len(pairs) and (loop := _loop(said)):
        return f"{loop!r} over and over"
    if 2 * len(_SIGN.sub("", prose)) < len("".join(prose.split())):
        return "mostly symbols"
    if sum(1 for _ in _CLASH.finditer(text)) * 13 > max(len(said), 12):
        return "words of structure that clash"
    return _broken(_CODE.sub(" ", raw), said)


def _loop(said: Sequence[str]) -> str:
    """Two to twelve words said five times running that fill half of the text, or ""."""
    for length in range(2, 13):
        run = 0
        for end, (before, here) in enumerate(zip(said, said[length:], strict=False)):
            run = run + 1 if here == before else 0
            if run >= 4 * length and 2 * (run + length) >= len(said):
                start = end - run + 1
                return " ".join(said[start : start + length])
    return ""


def _broken(raw: str, said: Sequence[str]) -> str:
    broken = [found for token in raw.split() if (found := _is_broken(token)) is not None]
    if len(broken) >= 8 and 4 * sum(broken) > len(broken):
        return "tokens that are no words"
    lists = raw.count(",") + raw.count("\n") + raw.count("|")
    if len(said) >= 12 and 6 * lists < len(said) and 10 * sum(word in COMMON for word in said) < len(said):
        return "words without grammar"
    return ""


@lru_cache(maxsize=1 << 14)
def _is_broken(token: str) -> bool | None:
    """None of a link."""
    return None if _LINK.search(token) else bool(_BROKEN.search(token) or _foreign(token))


def _foreign(token: str) -> bool:
    """Letters of another script than Latin."""
    return not token.isascii() and any(c.isalpha() and ord(c) > 0x24F for c in token)


def looped(sentences: Sequence[str]) -> str:
    """One sentence four times or more that makes up half of the text, few sentences again and again, or ""."""
    counts = Counter(sentences)
    most = max(counts.values(), default=0)
    if most >= 4 and 2 * most > len(sentences):
        return f"one sentence {most} times"
    few = len(sentences) >= 8 and 4 * len(counts) < len(sentences) + 4
    return f"{len(counts)} sentences over and over" if few else ""
