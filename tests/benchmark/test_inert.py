"""What acts on a terminal or in a spreadsheet leaves as a character that does nothing."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given

from benchmark.__main__ import main
from benchmark.inert import cell, uncell, visible, visible_output
from tests.hostile.values import bounded, texts


def test_every_control_and_override_and_no_letter():
    left = [chr(code) for code in range(sys.maxunicode + 1) if visible(chr(code)) == chr(code)]
    controls = {sign for sign in left if unicodedata.category(sign) in ("Cc", "Cs")}
    assert controls == {"\t", "\n"} and not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") & set(left)
    gone = {chr(code) for code in range(sys.maxunicode + 1)} - set(left)
    assert {unicodedata.category(sign) for sign in gone} == {"Cc", "Cf", "Cs"} and len(gone) == 31 + 33 - 1 + 9 + 2048


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x9b2J",
        "\x1bP",
        "a\rb",
        "\x08\x08",
        "\x7f",
        "\u202etxt",
    ],
)
def test_sequences_are_shown_and_not_obeyed(sequence):
    assert visible(f"a{sequence}b").isprintable() and len(visible(f"a{sequence}b")) == len(sequence) + 2


@bounded
@given(texts)
def test_a_cell_is_no_formula_and_reads_back(text):
    written = cell(text)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    assert uncell(written) == visible(text)


def test_what_is_printed_is_visible(capsys):
    with visible_output():
        print("name\x1b[2J", 3, sep="\t")
        sys.stdout.writelines(["a\x07\n", "b\n"])
    print("\x1b", end="")
    assert capsys.readouterr().out == "name\ufffd[2J\t3\na\ufffd\nb\n\x1b"


def test_hostile_names_in_the_benchmark_command(tmp_path, capsys):
    """A category and an id that hold escapes and a formula: in the table, in the CSV and in an error."""
    row = '{"id": "\\u001b[2J1", "text": "q", "label": "yes", "category": "=1+1\\u001b[31m"}\n'
    (tmp_path / "manifest.jsonl").write_text(row)
    (tmp_path / "answers.jsonl").write_text('{"id": "\\u001b[2J1", "answer": "Yes"}\n')
    asked = ["score", "manifest/yes-no", "--data", str(tmp_path), "--answers", str(tmp_path / "answers.jsonl")]
    assert main([*asked, "--csv", str(tmp_path / "scores.csv")]) == 0
    (tmp_path / "answers.jsonl").write_text('{"id": "other\\u001b]0;x\\u0007", "answer": "Yes"}\n')
    assert main(asked) == 2
    shown, errors = capsys.readouterr()
    assert "\x1b" not in shown + errors and "=1+1\ufffd[31m" in shown and "other" in errors
    content = (tmp_path / "scores.csv").read_text()
    assert "\x1b" not in content and ",'=1+1\ufffd[31m,accuracy,1,1,1/1,1.0," in content
