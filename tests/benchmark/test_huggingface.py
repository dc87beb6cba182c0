from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark import huggingface, pope, scienceqa
from benchmark.__main__ import main
from benchmark.errors import DataError
from benchmark.huggingface import convert_pope, convert_scienceqa

parquet = pytest.importorskip("pyarrow.parquet")
Row = dict[str, Any]
Find = Callable[[str], Path]
ABOUT = ("task", "grade", "subject", "topic", "category", "skill", "lecture", "solution")


def _picture(number: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 0)).save(buffer, kind)
    return buffer.getvalue()


def _save(path: Path, rows: Sequence[Row]) -> Path:
    import pyarrow

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def _pope_rows(folder: Path, splits: Sequence[str] = pope.SPLITS) -> list[Row]:
    """The rows of lmms-lab/POPE: every cell a string, the image's name without .jpg."""
    rows: list[Row] = []
    names: dict[str, bytes] = {}
    for split in splits:
        for line in (folder / f"coco_pope_{split}.json").read_text(encoding="utf-8").splitlines():
            question = json.loads(line)
            content = names.setdefault(question["image"], _picture(len(names), "JPEG"))
            rows.append(
                {
                    "id": str(len(rows)),
                    "question_id": str(question["question_id"]),
                    "question": question["text"],
                    "answer": question["label"],
                    "image_source": question["image"].removesuffix(".jpg"),
                    "image": {"bytes": content, "path": None},
                    "category": split,
                }
            )
    return rows


def test_popes_parquet_becomes_the_authors_files_byte_for_byte(test_data: Find, tmp_path: Path) -> None:
    rows = _pope_rows(test_data("pope"), ("adversarial", "popular", "random"))
    assert len(rows) == 9000
    source = tmp_path / "data"
    for shard in range(3):  # as on the hub: shards that do not end where a split ends
        _save(source / f"test-0000{shard}-of-00003.parquet", rows[shard * 3100 : (shard + 1) * 3100][::-1])
    root = tmp_path / "pope"
    assert main(["convert", "pope", str(source), "--to", str(root)]) == 0
    for name in pope.FILES:
        assert (root / name).read_bytes() == (test_data("pope") / name).read_bytes()
    assert (root / "val2014" / f"{rows[0]['image_source']}.jpg").read_bytes() == rows[0]["image"]["bytes"]
    loaded = pope.load(root)
    assert len(loaded.samples) == 9000 and not loaded.unasked
    assert main(["validate", "pope/official-9000", "--data", str(root)]) == 0


def _small(tmp_path: Path, **change: Any) -> list[Row]:
    row = {"question_id": "1", "question": "Is there a cat?", "answer": "yes", "image_source": "COCO_1"}
    image = {"bytes": _picture(1, "JPEG"), "path": "x.jpg"}
    rows = [row | {"image": image, "category": split} for split in pope.SPLITS]
    rows[1] |= change
    return rows


def test_another_release_of_pope_is_said_to_be_one(tmp_path: Path) -> None:
    notes = convert_pope(_save(tmp_path / "a.parquet", _small(tmp_path)), tmp_path / "out")
    assert notes[0] == "val2014: 1 photographs"
    assert notes[1] == "coco_pope_random.json: 1 questions, NOT those of a known release: compare with care"
    assert len(pope.load(tmp_path / "out").samples) == 3


def test_the_same_rows_twice_are_one_and_other_rows_are_an_error(tmp_path: Path) -> None:
    rows = _small(tmp_path)
    convert_pope(_save(tmp_path / "a.parquet", rows + rows), tmp_path / "out")
    assert len(pope.load(tmp_path / "out").samples) == 3
    with pytest.raises(DataError, match=r"row 3: question 1 of random is also there with other content"):
        convert_pope(_save(tmp_path / "b.parquet", [*rows, rows[0] | {"answer": "no"}]), tmp_path / "out2")
    other = rows[0] | {"question_id": "2", "image": {"bytes": _picture(9), "path": ""}}
    with pytest.raises(DataError, match=r"val2014/COCO_1\.jpg is also there with other content"):
        convert_pope(_save(tmp_path / "c.parquet", [*rows, other]), tmp_path / "out3")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "maybe"}, "row 1: category 'popular', question_id '1', answer 'maybe': not a POPE question"),
        ({"category": "all"}, "row 1: category 'all'"),
        ({"image_source": "../evil"}, r"row 1: 'val2014/\.\./evil\.jpg' is not a valid image file name"),
        ({"image": {"bytes": b"<html>", "path": ""}}, "row 1: val2014/COCO_1.jpg is also there with other content"),
        ({"image": {"bytes": None, "path": "x"}}, "row 1: its image has no bytes"),
        (
            {"image_source": "b", "image": {"bytes": b"<html>", "path": ""}},
            "row 1: cannot read image .*: it is in none of the formats PNG, ",
        ),
        ({"category": "random"}, "has no popular questions: give the folder with all parquet files"),
    ],
)
def test_rows_that_are_no_pope_questions(tmp_path: Path, change: Row, said: str) -> None:
    source = _save(tmp_path / "a.parquet", _small(tmp_path, **change))
    with pytest.raises(DataError, match=said):
        convert_pope(source, tmp_path / "out")


def test_question_files_that_are_there_are_kept_if_they_ask_the_same(tmp_path: Path, test_data: Find) -> None:
    source = _save(tmp_path / "a.parquet", _small(tmp_path))
    convert_pope(source, tmp_path / "out")
    assert convert_pope(source, tmp_path / "out")[1].endswith("those of the file that was there")
    for name in pope.FILES:
        (tmp_path / "out" / name).write_bytes((test_data("pope") / name).read_bytes())
    with pytest.raises(DataError, match=r"asks other questions than the parquet files \(3,000 of 3,000\)"):
        convert_pope(source, tmp_path / "out")
    assert (tmp_path / "out" / pope.FILES[0]).read_bytes() == (test_data("pope") / pope.FILES[0]).read_bytes()


def test_files_that_are_no_such_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no \.parquet file at"):
        convert_pope(tmp_path, tmp_path / "out")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match=r"cannot read .*a\.parquet: "):
        convert_pope(tmp_path / "a.parquet", tmp_path / "out")
    with pytest.raises(DataError, match=r"has no column 'question_id' \(it has a\): another dataset\?"):
        convert_pope(_save(tmp_path / "a.parquet", [{"a": 1}]), tmp_path / "out")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs the package pyarrow: pip install 'iar\[parquet\]'"):
        convert_pope(tmp_path / "a.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _scienceqa_row(problem: Row, number: int) -> Row:
    """A row of derek-thomas/ScienceQA: no id, no split, the picture in place of its name."""
    image = {"bytes": _picture(number), "path": "image.png"} if problem["image"] else None
    return {"image": image} | {key: problem[key] for key in ("question", "choices", "answer", "hint", *ABOUT)}


@pytest.fixture
def real(test_data: Find) -> Row:
    """150 of ScienceQA's problems."""
    problems: Row = json.loads(test_data("scienceqa/problems_150.json").read_text(encoding="utf-8"))
    return problems


def _splits(problems: Row) -> dict[str, list[str]]:
    return {split: [pid for pid, p in problems.items() if p["split"] == split] for split in ("train", "val", "test")}


def _authors(root: Path, problems: Row) -> None:
    root.mkdir()
    (root / "problems.json").write_text(json.dumps(problems), encoding="utf-8")
    (root / "pid_splits.json").write_text(json.dumps(_splits(problems)), encoding="utf-8")


def test_scienceqa_without_the_authors_files(real: Row, tmp_path: Path) -> None:
    names = {"test": "test-00000-of-00001-f0.parquet", "val": "validation-00000-of-00001.parquet"}
    for split, name in names.items():
        rows = [_scienceqa_row(real[pid], n) for n, pid in enumerate(_splits(real)[split])]
        _save(tmp_path / "data" / name, rows)
    notes = convert_scienceqa(tmp_path / "data", tmp_path / "out")
    assert "test: PARTIAL, ScienceQA has 4,241 problems there" in notes
    for split in ("test", "validation"):
        loaded = scienceqa.load(tmp_path / "out", split)
        pids = _splits(real)["val" if split == "validation" else split]
        assert len(loaded.samples) == len(pids) == 50 and not loaded.unasked
        assert [s.prompt for s in loaded.samples] == [scienceqa.prompt(real[pid]) for pid in pids]
        assert [s.reference for s in loaded.samples] == ["ABCDE"[real[pid]["answer"]] for pid in pids]
        for number, (sample, pid) in enumerate(zip(loaded.samples, pids, strict=True)):
            assert bool(sample.images) == bool(real[pid]["image"])
            assert not sample.images or sample.images[0].read_bytes() == _picture(number)


def test_scienceqa_is_joined_by_text_to_the_authors_ids(real: Row, tmp_path: Path) -> None:
    _authors(tmp_path / "out", real)
    before = (tmp_path / "out" / "problems.json").read_bytes()
    rows = [_scienceqa_row(real[pid], int(pid)) for pid in reversed(_splits(real)["test"])]
    for row in rows:
        row["hint"] = row["hint"].replace("\n\n", "\n")  # as in some copies
    notes = convert_scienceqa(_save(tmp_path / "test.parquet", rows), tmp_path / "out")
    pictured = [pid for pid in _splits(real)["test"] if real[pid]["image"]]
    assert notes == [f"images: {len(pictured)} pictures", "test: 50 problems"] and len(pictured) > 5
    assert (tmp_path / "out" / "problems.json").read_bytes() == before
    for pid in pictured:
        assert (tmp_path / "out" / "images" / "test" / pid / "image.png").read_bytes() == _picture(int(pid))
    assert not scienceqa.load(tmp_path / "out").unasked


def test_problems_of_one_text_are_told_apart_by_a_proven_order_only(real: Row, tmp_path: Path) -> None:
    pids = [pid for pid in _splits(real)["test"] if real[pid]["image"]][:4]
    twins = {pid: real[pids[0] if n < 2 else pid] for n, pid in enumerate(pids)}
    rows = [_scienceqa_row(problem, n) for n, problem in enumerate(twins.values())]
    _authors(tmp_path / "ordered", twins)
    convert_scienceqa(_save(tmp_path / "test.parquet", rows), tmp_path / "ordered")
    images = tmp_path / "ordered" / "images" / "test"
    assert [(images / pid / "image.png").read_bytes() for pid in pids] == [_picture(n) for n in range(4)]
    _authors(tmp_path / "mixed", twins)
    notes = convert_scienceqa(_save(tmp_path / "test.parquet", rows[::-1]), tmp_path / "mixed")
    assert "test: 2 rows fit several problems of the same text: their pictures are missing" in notes
    assert sorted(p.name for p in (tmp_path / "mixed/images/test").iterdir()) == sorted(pids[2:])


def test_scienceqa_rows_of_other_problems(real: Row, tmp_path: Path) -> None:
    _authors(tmp_path / "out", real)
    other = _scienceqa_row(real[_splits(real)["val"][0]], 0)
    with pytest.raises(DataError, match=r"row 0 of test \(.*\) is not a problem of test in .*problems\.json"):
        convert_scienceqa(_save(tmp_path / "test.parquet", [other]), tmp_path / "out")
    with pytest.raises(DataError, match=r"row 0: answer 7 of .* choices: not a ScienceQA problem"):
        convert_scienceqa(_save(tmp_path / "test.parquet", [other | {"answer": 7}]), tmp_path / "out")
    with pytest.raises(DataError, match=r"data\.parquet does not say in its name which split it is: give --split"):
        convert_scienceqa(_save(tmp_path / "data.parquet", [other]), tmp_path / "out")
    assert not (tmp_path / "out" / "images").exists()
    source = _save(tmp_path / "data.parquet", [other])
    assert main(["convert", "scienceqa", str(source), "--to", str(tmp_path / "out"), "--split", "val"]) == 0


def test_the_full_set_and_its_pictured_part_in_one_folder(
    real: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [_scienceqa_row(real[pid], 0) for pid in _splits(real)["test"]]
    for part in ("ScienceQA-FULL", "ScienceQA-IMG"):
        _save(tmp_path / "data" / part / "test-00000-of-00001.parquet", rows)
    monkeypatch.setitem(huggingface._SIZES, "test", (50, 10))
    with pytest.raises(DataError, match=r"100 rows of test, ScienceQA has 50: .* give one of them"):
        convert_scienceqa(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()
