"""Text of unknown origin on its way out: it moves no cursor, hides nothing, and no spreadsheet computes it.

Names of configurations, categories, models and samples, answers, and what an endpoint says are hostile. They are kept
as they are in records (JSON, where such characters are escaped) and made inert where they leave: in the terminal and
the log, in CSV files, and in Markdown and LaTeX (`iar.pipeline.results.markup`).
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any

REPLACEMENT = "\ufffd"
# C0 and C1 controls but for tab and line feed, lone surrogates, and what turns the direction of the text around it.
_ACTIVE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# What spreadsheets take for the beginning of a formula, full width too; an apostrophe in front makes it a text.
_FORMULA = re.compile("'*[=+\\-@\t\n＝＋－＠]")
_QUOTED = re.compile("'+[=+\\-@\t\n＝＋－＠]")


def visible(text: str) -> str:
    r"""The text with every character that acts on a terminal as U+FFFD; a tab and a line end stay.

    >>> visible("\x1b[2Jname\r\n")
    '�[2Jname\n'
    """
    return _ACTIVE.sub(REPLACEMENT, text.replace("\r\n", "\n"))


def cell(text: str) -> str:
    """A cell of a CSV file that holds a text; a number is never passed through here.

    >>> cell("=HYPERLINK(A1)"), cell("0-shot"), cell("'-1")
    ("'=HYPERLINK(A1)", '0-shot', "''-1")
    """
    shown = visible(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def uncell(text: str) -> str:
    """The text of a cell that `cell` made."""
    return text[1:] if _QUOTED.match(text) else text


class Visible:
    """A stream in which all that is printed is made `visible`; else it is the stream itself."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(visible(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def visible_output() -> Iterator[None]:
    """While it lasts, what is printed to standard output is made `visible`."""
    with contextlib.redirect_stdout(Visible(sys.stdout)):
        yield
