"""Tables as LaTeX (booktabs) and Markdown; what stands in a cell is text, never markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "–": "--", "±": r"$\pm$", "−": "$-$", "★": r"$\star$", "●": r"$\bullet$", "\u00a0": "~",
    "…": r"\dots{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
}  # fmt: skip
SRA = re.compile(r"\bSRA\\_([sua])(?![A-Za-z\\])")
BLANKS = re.compile(r"[^\S\u00a0]+")


def escape(text: str) -> str:
    r"""Text that LaTeX prints as it is, in one line; SRA_s as in the papers.

    >>> print(escape("SRA_s 95 % of a_b & c"))
    SRA$_s$ 95 \% of a\_b \& c
    """
    plain = "".join(SPECIAL.get(letter, letter) for letter in BLANKS.sub(" ", text))
    return SRA.sub(r"SRA$_\1$", plain)


def tabular(title: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right; needs ``\\usepackage{booktabs}``."""
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(title) - 1)}}}", r"\toprule", _row(title), r"\midrule"]
    return "\n".join([*lines, *map(_row, rows), r"\bottomrule", r"\end{tabular}"])


def table(title: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str, wide: bool = True) -> str:
    """A float over both columns (``wide``) or one, shrunk to its width where it is wider; also needs ``graphicx``."""
    name = "table*" if wide else "table"
    width = r"\textwidth" if wide else r"\columnwidth"
    lines = [rf"\begin{{{name}}}[t]", r"\centering", rf"\caption{{{escape(caption)}}}", rf"\label{{{label}}}"]
    fitted = [rf"\resizebox{{\ifdim\width>{width} {width}\else\width\fi}}{{!}}{{%", tabular(title, rows), "}"]
    return "\n".join([*lines, *fitted, rf"\end{{{name}}}"])


def markdown(title: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as Markdown; a bar in a cell is escaped."""
    lines = [title, ["---"] * len(title), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"
