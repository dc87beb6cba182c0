from __future__ import annotations

import pytest

from iar.pipeline.results import markup


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SRA_s", "SRA$_s$"),
        ("SRA_s_authors", r"SRA\_s\_authors"),
        ("MM-SB ASR_SD_TYPO", r"MM-SB ASR\_SD\_TYPO"),
        (
            r"\input{a} 5 % & $x^2$ #1 ~",
            r"\textbackslash{}input\{a\} 5 \% \& \$x\textasciicircum{}2\$ \#1 \textasciitilde{}",
        ),
        ("a\nb\\\\", r"a b\textbackslash{}\textbackslash{}"),
        ("80.0 (-10.0*) – p < .05", r"80.0 (-10.0*) -- p \textless{} .05"),
    ],
)
def test_text_stays_text(text, shown):
    assert markup.escape(text) == shown


def test_a_float_with_rules():
    text = markup.table(("method", "SRA_s"), [("a_b", "1.0"), ("c", "2 [1, 3]")], "What & why", "tab:x", wide=False)
    lines = text.splitlines()
    assert lines[0] == r"\begin{table}[t]" and lines[-1] == r"\end{table}"
    assert r"\caption{What \& why}" in lines and r"\label{tab:x}" in lines
    body = lines[lines.index(r"\begin{tabular}{lr}") :]
    assert body[1:7] == [
        *(r"\toprule", r"method & SRA$_s$ \\", r"\midrule", r"a\_b & 1.0 \\", r"c & 2 [1, 3] \\", r"\bottomrule"),
    ]


def test_markdown():
    text = markup.markdown(("a", "b"), [("1 | 2", "3")])
    assert text == "| a | b |\n| --- | --- |\n| 1 \\| 2 | 3 |"
