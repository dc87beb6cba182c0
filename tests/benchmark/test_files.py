from __future__ import annotations

from pathlib import Path

import pytest

from benchmark import files
from benchmark.errors import DataError
from benchmark.sample import Sample

OUT = "download it again"


def _write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_cells_stay_text_and_places_are_lines(tmp_path):
    path = _write(tmp_path, "t.csv", '\ufeffid,text\r\n1,"two\nlines"\r\n2,NA\r\n')
    assert files.csv_rows(path, ["id", "text"], OUT) == [
        (f"{path}, line 3", {"id": "1", "text": "two\nlines"}),
        (f"{path}, line 4", {"id": "2", "text": "NA"}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,txt\n1,a\n", "has no column 'text': did you mean 'txt'"),
        ("id,text\n1,a\n2\n", "line 3: not 2 cells as in the header, a torn row: download it again"),
        ("id,text\n1,a,b\n", "line 2: not 2 cells"),
        ('id,text\n1,"never closed', "breaks off within quotation marks"),
        ("id,text\n", "has no rows: download it again"),
    ],
)
def test_what_is_no_table_is_said_in_one_line(tmp_path, content, message):
    path = _write(tmp_path, "t.csv", content)
    with pytest.raises(DataError, match=message) as caught:
        files.csv_rows(path, ["id", "text"], OUT)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_names_the_way_out(tmp_path):
    with pytest.raises(DataError, match=rf"no t.csv in {tmp_path}: download it again"):
        files.csv_rows(tmp_path / "t.csv", ["id"], OUT)


def test_json_rows_and_their_errors(tmp_path):
    path = _write(tmp_path, "t.jsonl", '{"a": "x\u2028y"}\r\n\n{"a": 2}\n')
    assert files.json_rows(path, OUT) == [(f"{path}, line 1", {"a": "x\u2028y"}), (f"{path}, line 3", {"a": 2})]
    for content, message in (
        ('{"a": 1}\n{"a"', "line 2: not JSON"),
        ("[1]\n", "line 1: not a JSON object"),
        ('{"a": 1, "a": 2}\n', "line 1: not JSON .key 'a' occurs twice"),
    ):
        with pytest.raises(DataError, match=message):
            files.json_rows(_write(tmp_path, "t.jsonl", content), OUT)


def test_json_content_is_of_the_kind_asked_for(tmp_path):
    path = _write(tmp_path, "t.json", '{"1": {"q": "a"}}')
    assert files.json_content(path, dict, OUT) == {"1": {"q": "a"}}
    with pytest.raises(DataError, match=r"t.json is not a JSON array: download it again"):
        files.json_content(path, list, OUT)


def test_find_takes_the_first_place_that_is_there(tmp_path):
    (tmp_path / "data").mkdir()
    assert files.find(tmp_path, ["imgs", "data"], OUT) == tmp_path / "data"
    with pytest.raises(DataError, match=rf"no imgs in {tmp_path}: download it again"):
        files.find(tmp_path, ["imgs"], OUT)


def test_an_id_that_occurs_twice_names_both_places():
    files.unique([("line 2", "a"), ("line 3", "b")], "id")
    with pytest.raises(DataError, match="line 4: id 'a' occurs twice, first at line 2: keep one"):
        files.unique([("line 2", "a"), ("line 3", "b"), ("line 4", "a")], "id")


def test_images_that_were_never_unpacked_stop_the_run(tmp_path):
    def sample(*images: Path) -> Sample:
        return Sample("1", "b", "c", "p", images, "safe", "1")

    files.require_images([sample()], tmp_path, OUT)  # text only
    with pytest.raises(DataError, match=r"none of the 2 images is in .*x.png\): download it again"):
        files.require_images([sample(tmp_path / "x.png", tmp_path / "y.png")], tmp_path, OUT)
    (tmp_path / "y.png").touch()
    files.require_images([sample(tmp_path / "x.png", tmp_path / "y.png")], tmp_path, OUT)
    assert files.image(tmp_path, ["a", "."], "y.png") == tmp_path / "./y.png"
    assert files.image(tmp_path, ["a", "."], "z.png") == tmp_path / "a/z.png"
