from __future__ import annotations

import re

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


HOSTILE = (
    *("[click](http://x)", "![p](https://x/y.png)", "<script>x</script>", "<!-- x", "*b* **c** ***d***", "_e_ __f__"),
    *(
        "`g` ``h``",
        "a | b",
        "line\nbreak",
        "https://x.org www.x.org",
        "&lt;b&gt; &#60;",
        "~~i~~",
        "\\",
        "\x1b[2J",
        "[a]: b",
    ),
)


def test_names_are_no_markdown_and_no_latex() -> None:
    for name in HOSTILE:
        shown = markup.markdown(["name"], [[name]])
        assert shown.isprintable() or shown.count("\n") == 2
        line = shown.splitlines()[2]
        bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", line)[2:-2]  # what is escaped taken away
        assert not re.search(r"[`~|\\\x1b]|\]\(|\]:|<[a-z/!]|://|www\.|&#?\w+;|(?<!\w)_\w|\*[^\s*]", bare), (name, line)
        tex = markup.tabular(["name"], [[name]]).splitlines()[3]
        assert not re.search(r"(?<!\\)[$#%&_{}~^](?![}{])", re.sub(r"\\text\w+\{\}", "", tex).replace(r" \\", ""))
        assert "\x1b" not in tex


def test_cells_of_our_own_stay_as_they_are() -> None:
    cells = ["83.1 [80.2, 85.9]", "83.1 (+2.0***)", "none ★", "SRA_s", "seen *", "a\u00a0/\u00a0b", "p < .05", "12 & 3"]
    assert markup.markdown(["a"], [cells]).splitlines()[2] == f"| {' | '.join(cells)} |"
