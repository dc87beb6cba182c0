from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from benchmark.errors import DataError
from benchmark.textfile import read_rows, read_text

LINES = '{"id": "1", "answer": "Yes"}\n{"id": "2", "answer": "naïve\u2028no"}\n'


def _write(folder: Path, content: bytes, name: str = "answers.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (b" \n\n", "is empty (3 bytes)"),
        (LINES.encode("utf-16"), "is UTF-16, not UTF-8: iconv -f UTF-16 -t UTF-8 answers.jsonl > new.jsonl"),
        (LINES.encode("utf-16-le"), "is UTF-16 without a mark"),
        (
            gzip.compress(LINES.encode(), mtime=0),
            "answers.jsonl is packed (gzip), not text: unpack it, or save it as CSV",
        ),
        (b"PK\x03\x04" + bytes(9), "is packed (zip or xlsx), not text"),
        (LINES.replace("\u2028", "").encode("latin-1"), "not UTF-8 (byte 0xef in line 2; Latin-1?)"),
    ],
)
def test_other_encodings_are_named_with_their_way_out(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError) as error:
        read_text(_write(tmp_path, content))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = _write(tmp_path, LINES.encode("utf-8-sig"))
    assert read_text(path) == LINES
    assert [row["id"] for _, row in read_rows(path)[0]] == ["1", "2"]


def test_a_line_separator_inside_an_answer_ends_no_line(tmp_path: Path) -> None:
    rows, torn = read_rows(_write(tmp_path, LINES.encode()))
    assert [(place, row["answer"]) for place, row in rows] == [("line 1", "Yes"), ("line 2", "naïve\u2028no")]
    assert torn == ""


@pytest.mark.parametrize("cut", [1, 12, len('o"}\n') + 3])  # the last one within the three bytes of U+2028
def test_a_torn_last_line_is_left_out_and_shown(tmp_path: Path, cut: int) -> None:
    raw = LINES.encode().rstrip(b"\n")
    rows, torn = read_rows(_write(tmp_path, raw[:-cut]))
    assert [row["id"] for _, row in rows] == ["1"]
    assert torn.startswith('{"id": "2"')


def test_a_broken_line_before_the_last_is_an_error(tmp_path: Path) -> None:
    path = _write(tmp_path, b'{"id": "1", "answer": "Yes"}\n{"id": "2", "an{"id": "3"}\n' + LINES.encode())
    with pytest.raises(DataError, match=r"answers.jsonl, line 2: not a JSON object .*repair or delete that line"):
        read_rows(path)


def test_json_documents(tmp_path: Path) -> None:
    array = _write(tmp_path, b'[\n {"id": 1, "answer": "Yes"},\n {"id": 2, "answer": "No"}\n]', "a.json")
    assert [place for place, _ in read_rows(array)[0]] == ["entry 1", "entry 2"]
    outputs = _write(tmp_path, b'{"results": {"4": 1, "5": 9}, "outputs": {"4": "B", "5": "so"}}', "b.json")
    assert [row for _, row in read_rows(outputs)[0]] == [
        {"question_id": "4", "text": "B", "label": "B"},
        {"question_id": "5", "text": "so", "label": ""},
    ]
    with pytest.raises(DataError, match=r"c.json, line 2: not JSON, or it breaks off there"):
        read_rows(_write(tmp_path, b'[\n {"id": 1, "answer": "Ye', "c.json"))
    with pytest.raises(DataError, match="neither JSON Lines nor a JSON array"):
        read_rows(_write(tmp_path, b'{\n"acc": 1}', "d.json"))


def test_csv(tmp_path: Path) -> None:
    rows, _ = read_rows(_write(tmp_path, b'id,completion\r\nv2-1,"two\nlines"\r\nv2-2,one\r\n', "a.csv"))
    assert rows == [
        ("line 2", {"id": "v2-1", "completion": "two\nlines"}),
        ("line 4", {"id": "v2-2", "completion": "one"}),
    ]
    with pytest.raises(DataError, match=r"b.csv, line 3: breaks off within quotation marks"):
        read_rows(_write(tmp_path, b'id,completion\n1,"whole"\n2,"bro', "b.csv"))
    with pytest.raises(DataError, match=r"c.csv, line 3: 1 cells under 2 columns"):
        read_rows(_write(tmp_path, b"id,completion\n1,whole\n2", "c.csv"))


def test_cells_are_read_however_long_they_are(tmp_path: Path) -> None:
    long = "so " * 60_000
    rows, _ = read_rows(_write(tmp_path, f'id,answer\n1,"<answer>Yes</answer> {long}"\n'.encode(), "a.csv"))
    assert len(rows[0][1]["answer"]) == len(long) + 21


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"id,answer,answer\n1,Yes,No\n", "a.csv", "a.csv: two columns have the name 'answer': rename or delete one"),
        (b"id, answer ,answer\n1,Yes,No\n", "a.csv", "two columns have the name 'answer'"),
        (
            b'{"id": "1", "answer": "Yes", "answer": "No"}\n',
            "a.jsonl",
            "line 1: key 'answer' occurs twice in one object",
        ),
        (b'{"id": "0"}\n{"id": "1", "id": "2"}\n', "a.jsonl", "line 2: key 'id' occurs twice in one object"),
        (
            b'[{"id": "1", "answer": "Yes",\n "answer": "No"}]',
            "a.json",
            "a.json: key 'answer' occurs twice in one object",
        ),
        (b'{"outputs": {"1": "A", "1": "B"}, "results": {}}', "a.json", "key '1' occurs twice in one object"),
    ],
)
def test_the_last_of_two_never_wins(tmp_path: Path, content: bytes, name: str, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        read_rows(_write(tmp_path, content, name))


def test_columns_without_a_name_may_be_many(tmp_path: Path) -> None:
    rows, _ = read_rows(_write(tmp_path, b"id,answer,,\n1,Yes,,\n", "a.csv"))
    assert rows[0][1]["answer"] == "Yes"
