"""Every reader of question and answer files: whatever the bytes and the types, a value or one line."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import benchmark
from benchmark import answers, huggingface, joining, mm_safetybench, scoring
from benchmark.download import unpacking
from benchmark.errors import DataError
from tests.hostile.values import as_json, as_lines, bounded, changed, damaged, deep, survives, texts, written

PROBLEM = {
    **{"question": "Which?", "choices": ["a", "b"], "answer": 0, "hint": "", "image": None, "split": "test"},
    **{"subject": "natural science", "topic": "physics", "grade": "grade3"},
}
POPE = [{"question_id": 1, "image": "x.png", "text": "Is there?", "label": "yes"}]
MM = {name: {"Question": "q", "Rephrased Question": "r", "Rephrased Question(SD)": "s"} for name in ("0", "1")}
LINE = {"id": "a/1", "image": "x.png", "display_text": "t", "kind": "benign", "category": "privacy"}
VLGUARD = [
    {"id": 1, "image": "x.png", "safe": True, "instr-resp": [{"safe_instruction": "a"}, {"unsafe_instruction": "b"}]},
    {"id": 2, "image": "x.png", "safe": False, "harmful_category": "c", "instr-resp": [{"instruction": "a"}]},
]
MANIFEST = [{"id": "1", "images": ["x.png"], "text": "q", "label": "safe", "category": "c", "reference": ""}]
DOCUMENTS: dict[str, tuple[str, Callable[[Any], str], dict[str, Any]]] = {
    "pope/llava-8910": ("coco_pope_{}.json", as_lines, {name: POPE for name in ("random", "popular", "adversarial")}),
    "scienceqa/llava-full": ("{}.json", as_json, {"problems": {"1": PROBLEM}, "pid_splits": {"test": ["1"]}}),
    "mm-safetybench": ("processed_questions/{}.json", as_json, {name: MM for name in mm_safetybench.SCENARIOS}),
    "vlguard": ("{}.json", as_json, {"test": VLGUARD}),
    "dualbench/recreated": ("{}.jsonl", as_lines, {"manifest": [LINE | {"perturbation": "noise"}]}),
    "manifest": ("{}.jsonl", as_lines, {"manifest": MANIFEST}),
}


def asked(name: str, root: Path) -> None:
    """All that a command does with question files: read, look at images, count an answer to each."""
    protocol = benchmark.protocol(name)
    for sample in protocol.load(root, "test").samples:
        protocol.outcomes(sample, None)
    samples = scoring.questions(protocol, root, "test")
    scoring.table(protocol, samples, dict.fromkeys((sample.id for sample in samples), None), "")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for place in (folder / "images", folder):
        place.mkdir(exist_ok=True)
        Image.new("RGB", (2, 2)).save(place / "x.png")
    return folder


@pytest.mark.parametrize("name", DOCUMENTS)
def test_any_value_in_any_place_of_a_question_file(name, root):
    pattern, dumped, parts = DOCUMENTS[name]
    folder = root / name.replace("/", "-")
    written(folder / "images" / "x.png", (root / "x.png").read_bytes())
    for place in ("x.png", "data/imgs/01-Illegal_Activitiy/SD/0.jpg"):
        written(folder / place, (root / "x.png").read_bytes())
    for part, content in parts.items():
        written(folder / pattern.format(part), dumped(content))
    asked(name, folder)  # whole, it is read

    @bounded
    @given(st.data())
    def check(data: st.DataObject) -> None:
        part = data.draw(st.sampled_from(sorted(parts)))
        path, whole = folder / pattern.format(part), dumped(parts[part])
        kinds = st.one_of(changed(parts[part]).map(dumped), damaged(whole.encode()), deep)
        written(path, data.draw(kinds))
        survives(lambda: asked(name, folder))
        written(path, whole)

    check()


TABLES = {
    "xstest": (
        "xstest_prompts.csv",
        ["id", "prompt", "type", "label", "focus", "note"],
        ["1", "q", "t", "safe", "", ""],
    ),
    "figstep/safebench": (
        *("safebench.csv", ["dataset", "category_id", "task_id", "category_name", "question", "instruction"]),
        ["ForbidQI", "1", "1", "c", "q", "i"],
    ),
    "manifest/yes-no": ("manifest.csv", ["id", "text", "label", "images"], ["1", "q", "yes", "x.png"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_any_cells_and_bytes_of_a_csv(name, root):
    file, header, row = TABLES[name]
    folder = root / name.replace("/", "-")
    written(folder / "x.png", (root / "x.png").read_bytes())

    def table(rows: list[list[str]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        return text.getvalue().encode("utf-8", "surrogatepass")

    whole = table([header, row])
    rows = st.lists(st.lists(st.one_of(texts, st.sampled_from(header + row)), max_size=len(row) + 1), max_size=3)

    @bounded
    @given(st.one_of(rows.map(lambda found: table([header, *found])), rows.map(table), damaged(whole)))
    def check(content: bytes) -> None:
        written(folder / file, content)
        survives(lambda: asked(name, folder))

    check()


def xlsx(cells: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for row in cells:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


HEADER = ["Category", "Prompt", *(f"{kind}_img_{number}" for kind in ("safe", "unsafe") for number in range(3))]


def test_any_cells_and_bytes_of_an_xlsx(root):
    folder = root / "vscbench"
    path = folder / "vscbench_image_centric.xlsx"
    written(folder / "vscbench_image_centric_images" / "c" / "x.png", (root / "x.png").read_bytes())
    whole = xlsx([HEADER, ["c", "q", *["x.png"] * 6]])
    written(path, whole)
    asked("vscbench/image", folder)
    cell = st.one_of(
        *(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False)),
        st.sampled_from(["x.png", "=1/0", "=A1", "#N/A", "None", "../x.png", "\u202e", "x" * 5_000, *HEADER]),
    )

    def repacked(content: bytes, part: str, new: bytes) -> bytes:
        """The same archive with a part replaced: its checksums are right."""
        packed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as archive:
            for name in old.namelist():
                archive.writestr(name, new if name == part else old.read(name))
        return packed.getvalue()

    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    @bounded
    @given(st.data())
    def check(data: st.DataObject) -> None:
        part = data.draw(st.sampled_from(sorted(parts)))
        kinds = st.one_of(
            st.lists(st.lists(cell, max_size=9), max_size=3).map(lambda found: xlsx([HEADER, *found])),
            damaged(whole),
            damaged(parts[part]).map(lambda new: repacked(whole, part, new)),
        )
        written(path, data.draw(kinds))
        survives(lambda: asked("vscbench/image", folder))

    check()


ROWS: dict[str, list[dict[str, Any]]] = {
    "ours": [{"sample": "random/1", "configuration": "none", "answer": "Yes.", "benchmark": "pope"}],
    "llava": [{"question_id": 1, "prompt": "Is there?", "text": "Yes.", "category": "random"}],
    "lmms-eval": [
        {
            **{"doc_id": 0, "target": "yes", "resps": [["Yes"]], "filtered_resps": ["Yes"], "input": "Is there?"},
            "doc": {"question_id": 1, "question": "Is there?", "image_source": "x", "category": "random"},
        }
    ],
    "plain": [{"id": "random/1", "answer": "Yes", "question": "Is there?", "image": "x.png", "label": "yes"}],
}


@pytest.mark.parametrize("format", ROWS)
def test_any_value_in_any_place_of_an_answer_file(format, root):
    folder = root / "answered"
    for name in ("random", "popular", "adversarial"):
        written(folder / f"coco_pope_{name}.json", as_lines(POPE))
    protocol = benchmark.protocol("pope/llava-8910")
    samples = scoring.questions(protocol, folder, "test")
    whole = as_lines(ROWS[format])

    def score(path: Path, judged: bool) -> None:
        joined = joining.join(protocol, samples, answers.read(path, format, judged), True, [])
        for found in joined.answers.values():
            scoring.label_answers(protocol, samples, found, judged)

    @bounded
    @given(
        st.one_of(
            changed(ROWS[format]).map(as_lines), changed(ROWS[format]).map(as_json), damaged(whole.encode()), deep
        ),
        st.sampled_from(["jsonl", "json", "csv"]),
        st.booleans(),
    )
    def check(content: str | bytes, ending: str, judged: bool) -> None:
        survives(lambda: score(written(folder / f"answers.{ending}", content), judged))

    check()


def test_any_bytes_of_a_parquet_file(root):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    row = {"question_id": "1", "question": "q", "answer": "yes", "image_source": "s", "category": "random"}
    content = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist([row | {"image": {"bytes": b"x", "path": "x.png"}}]), content)

    @bounded
    @given(damaged(content.getvalue()))
    def check(content: bytes) -> None:
        written(root / "parquet" / "x.parquet", content)
        survives(lambda: list(huggingface.rows(root / "parquet", ["question_id"])))
        survives(lambda: huggingface.convert_pope(root / "parquet", root / "converted"))

    check()


def test_any_bytes_of_an_archive(root):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/x.png", b"x" * 1000)
    folder = root / "unpacked"

    @bounded
    @given(damaged(packed.getvalue()))
    def check(content: bytes) -> None:
        path = written(root / "archive.zip", content)
        survives(lambda: unpacking.unpack(path, folder, r"images/(x\.png)", {folder / "x.png"}))

    check()


def test_an_encrypted_archive_is_one_line(root):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("images/x.png", b"x" * 1000)
    content = bytearray(packed.getvalue())
    content[6] |= 1  # the flag in the file's own header, then in the directory at the end
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path = written(root / "locked.zip", bytes(content))
    with pytest.raises(DataError, match=r"locked\.zip"):
        unpacking.unpack(path, root / "unpacked", r"images/(x\.png)", {root / "unpacked" / "x.png"})
    path = written(root / "locked" / "vscbench_image_centric.xlsx", bytes(content))
    with pytest.raises(DataError, match="encrypted"):
        benchmark.protocol("vscbench/image").load(path.parent, "test")


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("pope/llava-8910", "coco_pope_popular.json", "", "is empty"),
        ("pope/llava-8910", "coco_pope_popular.json", "[]", "holds no question"),
        ("pope/llava-8910", "coco_pope_random.json", "[" * 100_000, "nested more than 100 deep"),
        ("scienceqa/llava-full", "problems.json", json.dumps({"1": PROBLEM | {"choices": "abcd"}}), "choices are not"),
        ("scienceqa/llava-full", "problems.json", json.dumps({"1": PROBLEM | {"answer": True}}), "answer True is not"),
        ("scienceqa/llava-full", "problems.json", json.dumps({"1": PROBLEM | {"hint": 7}}), "hint is int, not text"),
        ("scienceqa/llava-full", "pid_splits.json", '{"test": "1"}', "not a list of problems"),
    ],
)
def test_what_would_count_silently_is_an_error(name, file, content, message, tmp_path):
    pattern, dumped, parts = DOCUMENTS[name]
    for part, whole in parts.items():
        written(tmp_path / pattern.format(part), dumped(whole))
    written(tmp_path / file, content)
    with pytest.raises(DataError, match=message):
        scoring.questions(benchmark.protocol(name), tmp_path, "test")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([HEADER], "has no rows"),
        ([HEADER, [None] * 8], "has no rows"),
        ([HEADER, ["c", '="a"&"b"', *["x.png"] * 6]], "cell B2: a formula"),
        ([[*HEADER, "Prompt"], ["c", "q", *["x.png"] * 6, "p"]], "2 columns 'Prompt'"),
    ],
)
def test_an_xlsx_that_would_count_silently_is_an_error(cells, message, tmp_path):
    written(tmp_path / "vscbench_image_centric.xlsx", xlsx(cells))
    with pytest.raises(DataError, match=message):
        benchmark.protocol("vscbench/image").load(tmp_path, "test")
