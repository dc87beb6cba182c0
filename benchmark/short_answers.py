"""Short answers, read strictly: a letter, yes or no, a phrase. None where the answer does not say, never a guess.

What is read is the final answer in plain text (`benchmark.answer_text`), also without LaTeX. Where the answer itself
marks one thing as its answer (``<answer>B</answer>``, ``<|begin_of_box|>``, ``\\boxed{B}``), that is read first.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from benchmark import answer_text

_BOXED = re.compile(r"\\f?boxed\s*\{((?:[^{}]|\{[^{}]*\}){0,400})\}")
_STYLED = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|tt)|mbox|operatorname|bf|rm)\s*\{([^{}]*)\}")
_FENCE = re.compile(r"^[ \t]*```[\w+-]*[ \t]*$|```", re.MULTILINE)
_FORMULA = re.compile(r"\$\$?([^$\n]{1,80})\$\$?|\\\(([^\n]{1,80}?)\\\)|\\\[([^\n]{1,80}?)\\\]")
_AROUND = (('"', '"'), ("'", "'"), ("`", "`"), ("[", "]"), ("{", "}"))

# what may stand between "answer" and its letter; behind the letter only a mark or the end of the line
_NAMED = (
    r"(?:\b[Tt]he |\b[Mm]y |^)(?:(?:correct|right|final|best|most likely|most appropriate) )?"
    r"(?:answer|option|choice)(?: is|\s*:| would be| should be|:? is:)"
    r":?\s*(?:(?:the )?(?:correct )?(?:option|choice|letter|answer)[: ]\s*)?\(?([{letters}])(?:[.,;:)]|[ \t]*$)"
)
_HEADED = (
    r"^[ \t]*(?:[-*•>][ \t]*|\d[.)][ \t]*)?[\"']?(?:(?:[Tt]he )?(?:[Cc]orrect|[Rr]ight|[Ff]inal|[Bb]est) )?"
    r"(?:[Aa]nswer|ANSWER|[Oo]ption|[Cc]hoice)[\"']?[ \t]*[:=-]\s*(?:(?:[Oo]ption|[Cc]hoice|[Ll]etter)[: ]\s*)?"
    r"[\"'(\[]{0,2}([{letters}])(?:[.,;:)\]\"'}]|[ \t]*$)"
)
_OPENING = r"([{letters}])(?:[.):](?:\s|$)|$)|\(([{letters}])(?:\)[.:]?(?:\s|$)|$)"
_LINE = r"^[ \t]*(?:[-*•][ \t]*)?\(?([{letters}])\)?[.:]?[ \t]*$"
_OPTION = r"(?:[Oo]ption|[Cc]hoice|[Ll]etter|[Aa]nswer) \(?([{letters}])(?:\)?[.:]?$|\)?[.:]\s)"


def readings(raw: str) -> Iterator[str]:
    """What to look for the answer in, the surest first: what it marks itself, then all of it."""
    read = answer_text.read(raw)
    if read.marked:
        yield _plain(read.marked)
    boxed = {_plain(box[1]) for box in _BOXED.finditer(read.text)} - {""}
    if len(boxed) == 1 and not read.marked:
        yield boxed.pop()
    yield _plain(_BOXED.sub(r"\1", read.text))


def _plain(text: str) -> str:
    """Without blocks, formulas and styles of LaTeX, and quotation marks or brackets around the whole."""
    text = _FENCE.sub("", text).replace("\u3002", ".")  # the Chinese full stop
    for _ in range(3):  # \textbf{\text{B}}
        text = _STYLED.sub(r"\1", text)
    text = _FORMULA.sub(lambda m: (m[1] or m[2] or m[3]).strip(), text).strip()
    for begin, end in _AROUND:
        if len(text) > 2 and text[0] == begin and text[-1] == end and not set(text[1:-1]) & {begin, end}:
            text = text[1:-1].strip()
    return text


def letter(raw: str, letters: str) -> str | None:
    """The chosen letter where the answer states one, every time the same; None else.

    It may open the answer, in brackets or before ``.``, ``)`` or ``:`` if more than the letter follows, follow
    "Option", fill the first or the last line, or be what "The answer is" or a line that begins "Answer:" names. A
    lower-case letter, one that only starts a sentence ("A is a complete sentence.") or a word ("The answer is Amber")
    does not count; nor does an answer that opens with one letter and then names another.
    """
    for text in readings(raw):
        opening = re.match(_in(_OPENING, letters), text) or re.match(_in(_OPTION, letters), text)
        named = {found for form in (_NAMED, _HEADED) for found in re.findall(_in(form, letters), text, re.MULTILINE)}
        for line in {text.partition("\n")[0], text.rpartition("\n")[2]}:
            named |= set(re.findall(_in(_LINE, letters), line))
        if opening:
            named.add(next(found for found in opening.groups() if found))
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def _in(form: str, letters: str) -> str:
    return form.replace("{letters}", letters)


def yes_no(raw: str) -> str | None:
    """``yes`` or ``no`` if exactly one of these words is in the answer, else None."""
    for text in readings(raw):
        found = {"yes", "no"} & set(re.findall(r"\w+", text.lower()))
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def phrase(raw: str) -> str:
    """A short answer for comparison: lower case, without punctuation, articles and further blanks (as SQuAD's script).

    >>> phrase("The red  spoon.")
    'red spoon'
    """
    for text in readings(raw):
        plain = text.lower().translate(str.maketrans("", "", string.punctuation))
        if found := " ".join(word for word in plain.split() if word not in ("a", "an", "the")):
            return found
    return ""
