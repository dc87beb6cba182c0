"""An answer taken apart: sentences in order, what is a list item, what is code, what somebody else says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from benchmark import answer_text

_MARKER = re.compile(r"^(?:\d{1,2}[.)]|[-*•+]|[a-h][.)]|step \d+\s*[:.)-])\s+")
_INLINE = re.compile(r"(?<=[.:;!?]) (?=\d{1,2}[.)] )")
_CODE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_QUOTE = re.compile(r'"[^"\n]*"|“[^”\n]*”')
_END = re.compile(
    r"(?<!(?<!')\b[a-z])(?<!\bmr)(?<!\bmrs)(?<!\bdr)(?<!\bst)(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)[.!?]+[\"')*\]]*(?:\s+|$)"
)
_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")


@dataclass(frozen=True)
class Passage:
    """An answer in parts.

    Attributes:
        sentences: Lower case, in order, without quotations of more than three words and without code.
        items: How many of the lines are items of a list.
        quotes: Whether quotations were left out.
        code: Whether there is a block of code.
        words: Number of words, all of them.
    """

    sentences: tuple[str, ...]
    items: int
    quotes: bool
    code: bool
    words: int


@lru_cache(maxsize=2048)
def normal(text: str) -> str:
    """Lower case and single blanks, of the final answer in plain text (`benchmark.answer_text`)."""
    return re.sub(r"[ \t]+", " ", answer_text.read(text).text.lower()).strip()


def words(text: str) -> list[str]:
    return _WORD.findall(text)


def passage(answer: str) -> Passage:
    """The parts of an answer that ``normal`` has seen."""
    own = prose = _CODE.sub("\n", answer)
    spoken = _QUOTE.sub(lambda found: " " if len(found[0].split()) > 3 else found[0].strip('"'), prose)
    if len(spoken) > 0.5 * len(prose):  # an answer that stands in quotation marks as a whole is the model's own
        own = spoken
    sentences, items = [], 0
    for line in _INLINE.sub("\n", own).split("\n"):
        line = re.sub(r"^[#>\s]+|[*_]{2,}", "", line)
        items += bool(_MARKER.match(line))
        for part in _END.split(_MARKER.sub("", line)):
            if part := " ".join(part.split()).strip(" -*#>\"'"):
                sentences.append(part)
    return Passage(tuple(sentences), items, own != prose, prose != answer, len(words(answer)))
