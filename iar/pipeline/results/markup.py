"""Tables as LaTeX (booktabs) and Markdown; a name, an answer or a cell is text in them, never markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmark.inert import visible

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "–": "--", "±": r"$\pm$", "−": "$-$", "★": r"$\star$", "●": r"$\bullet$", "\u00a0": "~",
    "…": r"\dots{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "\ufffd": "?",
}  # fmt: skip
SRA = re.compile(r"\bSRA\\_([sua])(?![A-Za-z\\])")
MARKS = re.compile(
    r"[\\`~|]|<(?=[a-z/!?])|\](?=[(\[:])|:(?=//)|(?<=www)\.|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])"
    r"|(?<!\*)(?!(?<=\d)\*+\))\*+(?=[^\s*])",  # stars, but for those of a significance
    re.IGNORECASE,
)
BLANKS = re.compile(r"[^\S\u00a0]+")


def escape(text: str) -> str:
    r"""Text that LaTeX prints as it is, in one line; SRA_s as in the papers.

    >>> print(escape("SRA_s 95 % of a_b & c"))
    SRA$_s$ 95 \% of a\_b \& c
    """
    plain = "".join(SPECIAL.get(letter, letter) for letter in BLANKS.sub(" ", visible(text)))
    return SRA.sub(r"SRA$_\1$", plain)


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows as it is, in one line: no markup, no HTML, no link, not even of a bare address.

    >>> print(escape_markdown("[a](http://b) <b> SRA_s _c_ 3.1 [2, 4] (+2.0**) *d*"))
    [a\](http\://b) \<b> SRA_s \_c\_ 3.1 [2, 4] (+2.0**) \*d*
    """
    plain = BLANKS.sub(" ", visible(text)).strip()
    return MARKS.sub(lambda found: "".join(f"\\{letter}" for letter in found[0]), plain)


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
    """The same as Markdown."""
    lines = [list(map(escape_markdown, line)) for line in (title, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], ["---"] * len(title), *lines[1:]])


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"
