from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmark import answers
from benchmark.answers import Answer
from benchmark.errors import DataError


def _lines(folder: Path, *rows: dict[str, Any], name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_ours(tmp_path: Path) -> None:
    row = {"benchmark": "pope", "sample": "random/1", "configuration": "none", "tokens": 1, "key": "k"}
    good, bad = row | {"answer": "Yes", "error": ""}, row | {"answer": "", "error": "CUDA out of memory"}
    _lines(tmp_path, good, bad, name="generations.jsonl")
    file = answers.read(tmp_path)
    assert file.format == "ours"
    assert file.answers == (
        Answer("line 1", "random/1", "Yes", configuration="none", benchmark="pope"),
        Answer("line 2", "random/1", None, configuration="none", benchmark="pope", failed=True),
    )
    _lines(tmp_path, row | {"label": None, "judge": "rules", "reason": "?"}, name="verdicts.jsonl")
    verdict = answers.read(tmp_path, judged=True).answers[0]
    assert (verdict.label, verdict.text, verdict.failed) == (None, None, False)  # unscored, but not missing


def test_llava(tmp_path: Path) -> None:
    row = {"question_id": 10000001, "prompt": "Is it?\nShort.", "text": "No", "answer_id": "x", "model_id": "m"}
    file = answers.read(_lines(tmp_path, row))
    assert (file.format, file.answers) == ("llava", (Answer("line 1", "10000001", "No", question="Is it?\nShort."),))
    output = {"question_id": "4", "parsed_ans": "B", "ground_truth": "C", "question": "<image>\nWhich?", "pred": "B."}
    path = tmp_path / "output.jsonl"
    path.write_text(json.dumps({"correct": [], "incorrect": [output]}, indent=1), encoding="utf-8")
    assert answers.read(path).answers == (Answer("entry 1", "4", "B.", "B", question="<image>\nWhich?", reference="C"),)


def test_lmms_eval_with_and_without_its_document(tmp_path: Path) -> None:
    old = {
        "doc_id": 7,
        "doc": {
            "question_id": "3",
            "question": "Is it?",
            "answer": "no",
            "image_source": "COCO_1",
            "category": "random",
        },
        "target": "no",
        "arguments": {"0": {}},
        "resps": [["No"]],
        "filtered_resps": ["No"],
    }
    new = {
        "doc_id": 7,
        "target": "no",
        "filtered_resps": "No",
        "doc_hash": "h",
        "input": "Is it?\nShort.",
        "pope_accuracy": {"question_id": "3", "score": 1.0, "prediction": "no", "ground_truth": "no"},
    }
    file = answers.read(_lines(tmp_path, old, new))
    assert file.format == "lmms-eval"
    assert file.answers == (
        Answer("line 1", "3", "No", question="Is it?", image="COCO_1", category="random", reference="no"),
        Answer("line 2", "3", "No", question="Is it?\nShort.", reference="no"),
    )


def test_plain_lines_and_answers_beside_the_benchmarks_own_rows(tmp_path: Path) -> None:
    question = {"question_id": 1, "image": "COCO_1.jpg", "text": "Is it?", "label": "yes"}
    file = answers.read(_lines(tmp_path, question | {"response": "Yes"}))
    assert file.format == "plain"
    assert file.answers == (Answer("line 1", "1", "Yes", question="Is it?", image="COCO_1", reference="yes"),)
    both = {
        "id": 5,
        "question": "Q",
        "answer": "A",
        "prediction": "B",
        "label": "C",
    }  # VLMEvalKit's answer is the truth
    assert answers.read(_lines(tmp_path, both)).answers == (Answer("line 1", "5", "B", "C", question="Q"),)
    empty = answers.read(_lines(tmp_path, {"id": "5", "answer": None}, {"id": "6", "answer": ""})).answers
    assert [(a.text, a.failed) for a in empty] == [(None, True), ("", False)]  # an empty answer is one


@pytest.mark.parametrize(
    ("row", "format", "said"),
    [
        (
            {"question_id": 1, "image": "x.jpg", "text": "Is it?", "label": "yes"},
            "auto",
            "holds questions, not answers",
        ),
        ({"question": "Is it?", "answer": "Yes"}, "auto", r"line 1: no id \(plain answers; it has question, answer\)"),
        ({"id": 1, "question": "Is it?"}, "auto", "line 1: no answer or label"),
        ({"id": 1, "answer": ["Yes"]}, "auto", "line 1: no text as the answer, but"),
        ({"id": 1, "answer": "Yes"}, "lmms-eval", "line 1: no resps"),
        ({"id": 1, "answer": "Yes"}, "llava", "line 1: no text"),
        ({"id": 1, "answer": "Yes"}, "lava", "unknown format 'lava': did you mean 'llava'"),
    ],
)
def test_what_holds_no_answers_is_refused(tmp_path: Path, row: dict[str, Any], format: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        answers.read(_lines(tmp_path, row), format)


def test_a_missing_file_and_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no answers at .*generations.jsonl: give the file \(or the run folder\)"):
        answers.read(tmp_path)
    (tmp_path / "a.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="holds no answers: its list is empty"):
        answers.read(tmp_path / "a.json")


def test_several_files_are_one(tmp_path: Path) -> None:
    first = _lines(tmp_path, {"id": 1, "answer": "a"}, name="x.jsonl")
    second = _lines(tmp_path, {"id": 2, "answer": "b"}, name="y.jsonl")
    file = answers.read_all([first, second])
    assert [(a.place, a.id) for a in file.answers] == [("x.jsonl line 1", "1"), ("y.jsonl line 1", "2")]
    third = _lines(tmp_path, {"question_id": 2, "prompt": "", "text": "b"}, name="z.jsonl")
    with pytest.raises(DataError, match=r"different formats \(llava, plain\)"):
        answers.read_all([first, third])


PREDICTED = [
    "model_prediction", "modelAnswer", "llm_answer", "predicted", "predicted_answer", "answer_llava", "gpt4_answer",
    "vlm_output", "raw_response", "generated", "generation", "reply", "hypothesis", "Qwen2-VL", "extracted_answer",
    "final_answer", "assistant", "result", "model_choice", "pred_label",
]  # fmt: skip
BESIDE = [
    "gt_answer", "correct_answer", "answer_type", "answer_id", "model_name", "output_tokens", "generation_time", "hint",
    "solution", "choices", "choice_a", "response_length", "target", "human_answer", "image_source",
    "num_outputs", "model",
]  # fmt: skip


@pytest.mark.parametrize("name", PREDICTED)
def test_two_columns_that_could_be_the_answer_are_refused(tmp_path: Path, name: str) -> None:
    row = {"id": "1", "question": "Is it?", "answer": "no", name: "Yes"}
    path = _lines(tmp_path, row)
    said = f"line 1: is the model's answer in 'answer' or in '{name}'? Say --answer-column answer or --answer-column "
    with pytest.raises(DataError, match=re.escape(said + name)):
        answers.read(path)
    assert answers.read(path, column=name).answers[0].text == "Yes"
    assert answers.read(path, column="answer").answers[0] == Answer("line 1", "1", "no", question="Is it?")


@pytest.mark.parametrize("name", BESIDE)
def test_other_columns_beside_the_answer_are_no_matter(tmp_path: Path, name: str) -> None:
    assert answers.read(_lines(tmp_path, {"id": "1", "answer": "no", name: "Yes"})).answers[0].text == "no"


def test_what_is_refused_in_other_shapes(tmp_path: Path) -> None:
    for row in (
        {"question_id": 1, "image": "a.png", "text": "Is it?", "label": "no", "model_answer": "Yes"},  # POPE's own rows
        {"question_id": 1, "prompt": "Is it?", "text": "no", "model_output": "Yes"},
        {"id": 1, "label": "no", "prediction_text": "Yes"},
    ):
        path, name = _lines(tmp_path, row), list(row)[-1]
        with pytest.raises(DataError, match=f"is the model's answer in '(text|label)' or in '{name}'"):
            answers.read(path)
        assert answers.read(path, column=name).answers[0].text == "Yes"
    with pytest.raises(DataError, match="no answer; is it in 'model_output'"):
        answers.read(_lines(tmp_path, {"id": 1, "model_output": "Yes"}))
    judged = {"id": 1, "label": "refusal", "model_answer": "I cannot."}
    assert answers.read(_lines(tmp_path, judged)).answers[0].label == "refusal"


def test_an_answer_column_that_is_not_there(tmp_path: Path) -> None:
    path = _lines(tmp_path, {"id": "1", "answer": "no"})
    with pytest.raises(DataError, match="line 1: no column 'answr': did you mean 'answer'"):
        answers.read(path, column="answr")
    with pytest.raises(DataError, match="--answer-column is for plain and llava answers"):
        answers.read(_lines(tmp_path, {"sample": "1", "configuration": "none", "answer": "x"}), column="answer")
    with pytest.raises(DataError, match="is given twice"):
        answers.read_all([path, path])
