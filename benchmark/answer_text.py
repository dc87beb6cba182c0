"""What a judge or a parser reads of an answer: the final answer in plain text. The raw text is what is recorded.

Removed, in this order: disguises of characters (Unicode's compatibility forms by NFKC, format characters such as
zero-width blanks, soft hyphens and marks of direction, look-alike apostrophes, HTML entities); reasoning
(`benchmark.thoughts`); a user's turn that the model went on to write, and control tokens (``</s>``, ``<|im_end|>``);
HTML tags and comments; Markdown (headings, quotes, emphasis, inline code, links). Kept: words, punctuation, line
breaks, list marks and blocks of code, since their form says something. Reading a text that was read changes nothing.

The ``-authors`` protocols parse answers as their released code does, and never come here.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from benchmark import thoughts

UNFINISHED = "an unfinished thought"
ONLY_THOUGHT = "a thought without an answer"
EMPTY = "empty"
_ROUNDS = 12  # of unwrapping, as "&amp;lt;b&amp;gt;" needs three


@dataclass(frozen=True)
class Reading:
    """An answer as it is read.

    Attributes:
        text: The final answer in plain text; "" where there is none.
        why: Why there is none: ``UNFINISHED``, ``ONLY_THOUGHT`` or ``EMPTY``; "" where there is one.
        marked: What the answer itself marks as its answer (``<answer>B</answer>``, ``<|begin_of_box|>``), if it marks
            one thing; else "".
    """

    text: str
    why: str = ""
    marked: str = ""


@lru_cache(maxsize=2048)  # parsers and judges read the same answer several times
def read(raw: str) -> Reading:
    """The final answer.

    >>> read("<think>A? No.</think>\\n**Answer:** B</s>").text
    'Answer: B'
    >>> read("<think>A? No. A? No.")
    Reading(text='', why='an unfinished thought', marked='')
    """
    text, thought, unfinished = raw, False, False
    for _ in range(_ROUNDS):
        found = thoughts.outside(_characters(text))
        thought, unfinished = thought or found.thought, unfinished or found.unfinished
        before, text = text, _without_markup(found.text)
        if text == before:
            break
    if text:
        return Reading(text, "", _marked(raw))
    return Reading("", UNFINISHED if unfinished else ONLY_THOUGHT if thought else EMPTY)


def _marked(raw: str) -> str:
    said = _characters(raw)
    if "<" not in said:
        return ""
    said = thoughts.outside(said).text
    found = {_without_markup(mark[2] if mark[1] else mark[4]) for mark in thoughts.WRAPPED.finditer(said)} - {""}
    return found.pop() if len(found) == 1 else ""


def _without_markup(text: str) -> str:
    return _markdown(_html(_tokens(text)))


# -- characters

# Quotation marks, accents that stand alone, modifier letters and primes that people and models type for one another
_APOSTROPHES = (
    "\u2018\u2019\u201a\u201b\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u055a\u05f3\u07f4\u1fbd\u1fbf\u1fef\u1ffd"
    "\u2032\u2035\u275b\u275c\ua78c\uff07"
)
_QUOTES = "\u201c\u201d\u201e\u201f\u275d\u275e\u301d\u301e\uff02"
_HYPHENS = "\u2010\u2011\u2043\ufe63\uff0d"
_LINES = "\v\f\x85\u2028\u2029"
# invisible, but of other categories than Cf: joiners, fillers, selectors of variants
_INVISIBLE = [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
_TABLE: dict[int, str | None] = {
    **dict.fromkeys(map(ord, _APOSTROPHES), "'"),
    **dict.fromkeys(map(ord, _QUOTES), '"'),
    **dict.fromkeys(map(ord, _HYPHENS), "-"),
    **dict.fromkeys(map(ord, _LINES), "\n"),
    **dict.fromkeys(_INVISIBLE),
}
_AMPERSANDS = re.compile(r"&(?:amp;|#0{0,6}38;|#x0{0,6}26;)+", re.IGNORECASE)
_CONTRACTED = re.compile(r"(?<=[A-Za-z])`(?=(?:s|t|re|ve|ll|d|m)\b)", re.IGNORECASE)  # "can`t"


def _characters(text: str) -> str:
    if "&" in text:
        text = html.unescape(_AMPERSANDS.sub("&", text))
    if "`" in text:
        text = _CONTRACTED.sub("'", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.replace("\n", "").replace("\t", "").isprintable():  # nothing of category Cf or Cc
        return text
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cf", "Cc"))


# -- control tokens

_ROLE = r"(?:assistant|model|bot|ai|gpt)"
_HEADERS = re.compile(
    rf"<\|im_start\|>\s*{_ROLE}?|<\|start_header_id\|>\s*{_ROLE}?\s*<\|end_header_id\|>|<start_of_turn>\s*{_ROLE}?"
    rf"|<\|turn>\s*{_ROLE}?|<\|start\|>\s*{_ROLE}?",
    re.IGNORECASE,
)
_USER_TURN = re.compile(
    r"<\|im_start\|>\s*(?:user|human|system)\b|<\|start_header_id\|>\s*(?:user|human|system)\s*<\|end_header_id\|>"
    r"|<start_of_turn>\s*user\b|<\|turn>\s*user\b|<\|(?:user|human)\|>|<\|start\|>\s*user\b|\[\|user\|\]|\[INST\]",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"<\|[^<>|\n]{1,60}\|>|<\|[\w:/.▁-]{1,40}>|<[\w:/.▁-]{1,40}\|>|\[\|[\w-]{1,40}\|\]|<</?SYS>>"
    r"|<(?:bos|eos|pad|unk|mask|sep|cls|im_end|im_start|eot|eod|eot_id|eom_id|endoftext|end_?of_?text|end_?of_?turn"
    r"|start_?of_?turn|end_of_utterance|end_of_image|start_of_image|image_soft_token|image|fake_token_around_image"
    r"|begin_of_text|startoftext|unused\d{1,5}|extra_id_\d{1,5}|reserved_\w{1,40}|0x[0-9a-f]{2})>"
    r"|\[/?(?:INST|SYS|EOS|BOS|PAD|SEP|CLS|UNK|EOT|ASSISTANT|USER|AVAILABLE_TOOLS|SYSTEM_PROMPT)\]"
    r"|</?(?:s|assistant|user|inst|sys)>",
    re.IGNORECASE,
)


def _tokens(text: str) -> str:
    if "<" not in text and "[" not in text:
        return text
    for turn in _USER_TURN.finditer(text):
        if _TOKEN.sub("", text[: turn.start()]).strip():
            text = text[: turn.start()]
            break
    return _TOKEN.sub("\n", _HEADERS.sub("\n", text)).strip()


# -- HTML

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b[^<>]{0,200}>.*?(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)
_WRAPPERS = r"answer|final[_-]?answer|final[_-]?response|final|response|output|solution|conclusion|result"
_BLOCK = re.compile(
    r"</?(?:p|div|br|hr|h[1-6]|ul|ol|dl|dt|dd|tr|table|thead|tbody|blockquote|pre|section|article|header|footer|main"
    rf"|body|html|head|title|details|summary|center|li|{_WRAPPERS})(?:\s[^<>]{{0,300}})?/?>",
    re.IGNORECASE,
)
_INLINE = re.compile(
    r"</?(?:a|abbr|b|big|cite|code|del|dfn|em|font|i|img|input|ins|kbd|label|mark|q|ruby|rt|samp|small|span|strike"
    r"|strong|sub|sup|td|th|time|tt|u|var|wbr|caption)(?:\s[^<>]{0,300})?/?>",
    re.IGNORECASE,
)
_ITEM = re.compile(r"<li(?:\s[^<>]{0,300})?>[ \t]*", re.IGNORECASE)
_CELL = re.compile(r"<t[dh](?:\s[^<>]{0,300})?>", re.IGNORECASE)


def _html(text: str) -> str:
    if "<" not in text:
        return text
    text = _ITEM.sub("\n- ", _COMMENT.sub("", text))
    return _INLINE.sub("", _CELL.sub(" ", _BLOCK.sub("\n", text)))


# -- Markdown

_FENCED = re.compile(r"(```.*?(?:```|\Z))", re.DOTALL)
_WHOLE = re.compile(r"\s*```([\w+-]*)[ \t]*(?:\n|(?=\S))((?:(?!```).)*)(?:```\s*)?\Z", re.DOTALL)
_CODE_SIGN = re.compile(r"[{}=;<>|$\\]")
_RULE = re.compile(r"^[ \t]*(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,}|=+)[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}(?:[ \t]+|$)(.*?)(?:[ \t]+#+)?[ \t]*$", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\((?:[^()\s]{1,500})(?:[ ]\"[^\"\n]{0,200}\")?\)")
_ESCAPED = re.compile(r"\\([*_`~#>'\"!.&$-])")
_RUN = re.compile(r"\*+|_+|`+|~~+")
_SIGN = re.compile(r"[-*_=#>\[\\`~\n]")  # without one there is no markup
_BLANK_LINE = re.compile(r"(\n[ \t]*\n)")


def _markdown(text: str) -> str:
    if not _SIGN.search(text):
        return text.strip()
    if (whole := _WHOLE.match(text)) and _is_prose(*whole.groups()):
        text = whole[2]
    parts = _FENCED.split(text)
    for place in range(0, len(parts), 2):
        prose = _ESCAPED.sub(r"\1", parts[place])
        prose = _LINK.sub(r"\1", _HEADING.sub(r"\1", _QUOTED.sub("", _RULE.sub("", prose))))
        parts[place] = "".join(map(_without_emphasis, _BLANK_LINE.split(prose)))
    lines = (line.rstrip() for line in "".join(parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _is_prose(language: str, block: str) -> bool:
    """Whether a block that is the whole answer is text: said to be, or five words and more without a sign of code."""
    if language:
        return language.lower() in ("text", "txt", "plain", "plaintext", "markdown", "md")
    return len(block.split()) >= 5 and not _CODE_SIGN.search(block)


def _without_emphasis(block: str) -> str:
    """A paragraph without the marks that emphasise or quote code; those that stand for themselves stay.

    A run of marks opens before a character and closes behind one; ``_`` only at the edge of a word. What a run opens is
    closed by the next run of the same mark. A run without its counterpart goes too where it stands at a word's edge: an
    answer may be cut between the two.
    """
    runs = list(_RUN.finditer(block))
    if not runs:
        return block
    gone: list[list[int]] = []  # start, how many characters
    waiting: dict[str, list[tuple[int, int]]] = {}  # mark -> place and length of the runs that are open
    for run in runs:
        mark, left = run[0][0], len(run[0])
        before, after = block[run.start() - 1 : run.start()], block[run.end() : run.end() + 1]
        opens, closes = bool(after.strip()), bool(before.strip())
        if mark == "_":
            opens, closes = opens and not before.isalnum(), closes and not after.isalnum()
        elif before.isdigit() and after.isdigit():
            opens = closes = False  # 2*3
        open_ = waiting.setdefault(mark, [])
        at = run.start()
        while closes and left and open_:
            start, length = open_.pop()
            both = min(length, left)
            gone += [[start + length - both, both], [at, both]]
            at, left = at + both, left - both
            if length > both:
                open_.append((start, length - both))
        if left and opens:
            open_.append((at, left))
        elif left and closes and left < 3 and not after.isalnum():
            gone.append([at, left])  # its opening is not there
    for open_ in waiting.values():
        for start, length in open_:
            before, after = block[start - 1 : start], block[start + length : start + length + 1]
            if not before.isalnum() and (after.isalpha() or after in "\"'(") and after:
                gone.append([start, length])
    for start, length in sorted(gone, reverse=True):
        block = block[:start] + block[start + length :]
    return block
