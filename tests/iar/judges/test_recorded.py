from __future__ import annotations

import csv
import hashlib
import json

import pytest

from benchmark.errors import DataError
from iar.errors import UserError
from iar.judges.judge import Item
from iar.judges.recorded import Recorded

PLACE = ("vscbench", "image/drugs/0/safe_0", "none")


def table(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def labels(judge, *items):
    found = dict(judge.judge(items))
    assert sorted(found) == list(range(len(items)))
    return [(found[index].label, found[index].failure) for index in range(len(items))]


def test_labels_by_place(tmp_path):
    rows = [("benchmark", "sample", "configuration", "label")]
    rows += [(*PLACE, "1_SAFE"), ("vscbench", "2", "none", "Refusal"), ("vscbench", "3", "none", "")]
    judge = Recorded([table(tmp_path / "a.csv", *rows)])
    asked = [Item("vscbench", "q", "a", place=("vscbench", sample, "none")) for sample in (PLACE[1], "2", "3", "4")]
    steered = Item("vscbench", "q", "a", place=(*PLACE[:2], "iar-L14-x1.5"))
    assert labels(judge, *asked, steered) == [
        ("warning", ""),
        ("refusal", ""),
        (None, "no label"),
        (None, "no label"),
        (None, "no label"),
    ]
    reasons = [verdict.reason for _, verdict in judge.judge(asked)]
    assert reasons[0].endswith("a.csv, line 2")
    assert reasons[2].endswith("a.csv, line 4: the label is empty") and reasons[3] == "no row for this answer"


def test_a_runs_verdicts_are_such_a_file(tmp_path):
    file = tmp_path / "verdicts.jsonl"
    place = dict(zip(("benchmark", "sample", "configuration"), PLACE, strict=True))
    lines = [
        place | {"label": "answer", "judge": "gpt-4o"},
        place | {"benchmark": "pope", "label": "yes"},  # no judge's affair
        place | {"sample": "2", "label": None, "failure": "timed out"},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    items = [Item("vscbench", "", "", place=(PLACE[0], sample, PLACE[2])) for sample in (PLACE[1], "2")]
    assert labels(Recorded([file]), *items) == [("answer", ""), (None, "no label")]


def test_labels_by_text_whatever_the_blanks(tmp_path):
    for query, answer in (("query", "answer"), ("prompt", "completion"), ("question", "response")):
        file = table(tmp_path / "b.csv", (query, answer, "label"), ("How  so?", "Take it.\n\nSo.", "answer"))
        found = labels(
            Recorded([file]), Item("vscbench", "How so?", " Take it. So. "), Item("vscbench", "How so?", "x")
        )
        assert found == [("answer", ""), (None, "no label")]


def test_xstests_own_files(test_data):
    paths = [test_data(f"xstest/xstest_v2_completions_{name}.csv") for name in ("gpt4", "llama2new", "mistralinstruct")]
    judge = Recorded(paths)
    with paths[2].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = labels(judge, *(Item("xstest", row["prompt"], row["completion"]) for row in rows))
    human = {"1_full_compliance": "answer", "2_full_refusal": "refusal", "3_partial_refusal": "warning"}
    assert len(rows) == 450 and found == [(human[row["final_label"]], "") for row in rows]


def test_rows_that_disagree(tmp_path):
    head = ("query", "answer", "label")
    agreeing = table(tmp_path / "a.csv", head, ("q", "a", ""), ("q", "a", "answer"), ("q", "a", "answer"))
    other = table(tmp_path / "b.csv", head, ("x", "y", "answer"), ("q ", "a", "refusal"))
    assert labels(Recorded([agreeing]), Item("vscbench", "q", "a")) == [("answer", "")]
    message = r"b\.csv, line 3: label 'refusal', but .*a\.csv, line 3 labels the same answer 'answer': keep one"
    with pytest.raises(UserError, match=message):
        Recorded([agreeing, other])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("query", "answer", "label"), ("q", "a", "refusl")],
            "line 2: unknown label 'refusl': did you mean 'refusal'",
        ),
        (
            [("query", "answer", "ann1", "ann2"), ("q", "a", "x", "y")],
            r"no column 'label' \(it has query, answer, ann1",
        ),
        ([("benchmark", "sample", "label"), ("pope", "1", "answer")], None),
        ([("benchmark", "sample", "label"), ("vscbench", "1", "answer")], "line 2: .*no column 'configuration'"),
        ([("query", "label"), ("q", "answer")], r"line 2: which answer is labelled\?.*an answer \(answer, completion"),
        ([("query", "answer", "label")], "holds no rows"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, rows, message):
    file = table(tmp_path / "x.csv", *rows)
    if message is None:
        assert labels(Recorded([file]), Item("vscbench", "q", "a")) == [(None, "no label")]
        return
    with pytest.raises(UserError, match=message):
        Recorded([file])


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r"recorded labels need their files: judge\.files=\[FILE\.csv\]"):
        Recorded([])
    with pytest.raises(DataError, match=r"cannot read .*gone\.csv"):
        Recorded([tmp_path / "gone.csv"])
    (tmp_path / "b").mkdir()
    two = [
        table(folder / "a.csv", ("query", "answer", "label"), ("q", "a", "")) for folder in (tmp_path, tmp_path / "b")
    ]
    with pytest.raises(UserError, match="two files have the same name"):
        Recorded(two)


def test_a_label_of_another_benchmark_is_refused(tmp_path):
    judge = Recorded([table(tmp_path / "a.csv", ("query", "answer", "label"), ("q", "a", "safe_completion"))])
    assert labels(judge, Item("dualbench", "q", "a")) == [("safe_completion", "")]
    with pytest.raises(
        UserError, match=r"a\.csv, line 2: 'safe_completion' is not a label of vscbench: one of: answer"
    ):
        list(judge.judge([Item("vscbench", "q", "a", place=PLACE)]))


def test_it_is_described_by_its_files_content(tmp_path):
    file = table(tmp_path / "a.csv", ("query", "answer", "label"), ("q", "a", "answer"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert Recorded([file]).describe() == {"name": "labels", "version": "2", "files": {"a.csv": digest}}
