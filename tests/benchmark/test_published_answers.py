"""Published numbers from published answers, by the command that anybody would use."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from benchmark import pope
from benchmark.__main__ import main
from benchmark.intervals import exact

Find = Callable[[str], Path]


def _table(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return {(row["category"], row["metric"]): row for row in csv.DictReader(file)}


def _score(
    folder: Path, protocol: str, data: Path, answers: Path | list[Path], *more: str
) -> dict[Any, dict[str, str]]:
    out = folder / "scores.csv"
    files = [str(path) for path in (answers if isinstance(answers, list) else [answers])]
    assert main(["score", protocol, "--data", str(data), "--answers", *files, "--csv", str(out), *more]) == 0
    return _table(out)


def _problems(prompts: Path, root: Path) -> None:
    """problems.json as far as LLaVA's prompts tell it: hints, choices, right answers, which problems have a picture."""
    problems = {}
    for item in json.loads(prompts.read_text(encoding="utf-8")):
        question, truth = (turn["value"] for turn in item["conversations"])
        head, _, rest = question.removeprefix("<image>\n").partition("\nA. ")
        hint, _, asked = head.rpartition("\n") if head.startswith("Context: ") else ("", "", head)
        choices = re.split(r"\n[B-E]\. ", rest)
        problems[item["id"]] = {
            "question": asked,
            "choices": choices,
            "answer": "ABCDE".index(truth),
            "hint": hint.removeprefix("Context: "),
            "image": "image.png" if "image" in item else None,
        }
    (root / "problems.json").write_text(json.dumps(problems), encoding="utf-8")


@pytest.fixture
def science(test_data: Find, tmp_path: Path) -> Path:
    _problems(test_data("scienceqa/llava_test_CQM-A.json"), tmp_path)
    (tmp_path / "pid_splits.json").write_bytes(test_data("scienceqa/pid_splits.json").read_bytes())
    return tmp_path


@pytest.mark.parametrize("preset", ["llava-8910", "llava-8910-authors"])
def test_llavas_real_pope_answers_score_as_published(
    test_data: Find, tmp_path: Path, capsys: pytest.CaptureFixture[str], preset: str
) -> None:
    data = test_data("pope/llava8910/coco_pope_random.json").parent
    found = _score(tmp_path, f"pope/{preset}", data, test_data("pope/llava-v1.5-13b_answers.jsonl"))
    f1 = {category: round(float(row["value"]), 6) for (category, metric), row in found.items() if metric == "F1"}
    assert f1 == {
        "all": 0.859324,
        "random": 0.871360,
        "popular": 0.862459,
        "adversarial": 0.844587,
        "mean of three": 0.859469,
    }
    accuracy = {c: round(float(row["value"]), 6) for (c, metric), row in found.items() if metric == "accuracy"}
    assert (accuracy["random"], accuracy["popular"], accuracy["adversarial"]) == (0.880069, 0.874333, 0.855000)
    assert (accuracy["mean of three"], accuracy["all"]) == (0.869801, 0.869697)
    assert found["random", "precision"]["count"] == "1182/1213" and found["all", "unparseable"]["count"] == "0/8910"
    # Clustered on 500 images the standard error is .00546 (naive: .00357), so 3,801 answers are worth that many alone.
    ends = exact(0.869697, 3801 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 499)) ** 2)
    found_ends = [float(found["all", "accuracy"][name]) for name in ("low", "high")]
    assert found_ends == pytest.approx([float(end) for end in ends], abs=3e-4)
    printed = capsys.readouterr()
    assert re.search(r"^mean of three +F1 .* 0\.859469 ", printed.out, re.M)
    assert f"pope/{preset}@" in printed.out and "PARTIAL" not in printed.out and printed.err == ""


def test_llavas_real_scienceqa_answers_score_as_published(test_data: Find, science: Path) -> None:
    output = test_data("scienceqa/llava-v1.5-13b_output.jsonl")
    found = _score(science, "scienceqa/llava-full-authors", science, output)
    assert found["all", "accuracy"]["count"] == "3155/4241"
    assert round(100 * float(found["all", "accuracy"]["value"]), 5) == 74.39283
    assert found["image", "accuracy"]["count"] == "1445/2017"
    assert found["all", "unparseable"]["count"] == "5/4241"
    image = _score(science, "scienceqa/llava-img-authors", science, output)
    assert round(100 * float(image["all", "accuracy"]["value"]), 5) == 71.64105
    ours = _score(science, "scienceqa/llava-full", science, output)
    assert ours["all", "accuracy"]["count"] == "3155/4241"
    recorded = _score(science, "scienceqa/llava-full-authors", science, output, "--judged")
    assert recorded["all", "accuracy"]["count"] == "3155/4241"


def test_lmms_evals_scienceqa_has_no_ids_and_is_joined_by_text_and_right_answer(test_data: Find, science: Path) -> None:
    scored = json.loads(test_data("scienceqa/llava-v1.5-13b_output.jsonl").read_text(encoding="utf-8"))
    by_id = {row["question_id"]: row for row in (*scored["correct"], *scored["incorrect"])}
    logged = science / "samples_scienceqa.jsonl"
    with open(logged, "w", encoding="utf-8") as file:
        for place, pid in enumerate(json.loads((science / "pid_splits.json").read_text())["test"]):
            row = by_id[pid]
            asked = row["question"].removeprefix("<image>\n")
            line = {"doc_id": place, "target": row["ground_truth"], "filtered_resps": row["pred"], "input": asked}
            file.write(json.dumps(line | {"exact_match": 1.0}) + "\n")
    found = _score(science, "scienceqa/llava-full-authors", science, logged)
    assert found["all", "accuracy"]["count"] == "3155/4241" and found["image", "accuracy"]["count"] == "1445/2017"


def test_gpt3_with_and_without_the_guesses_that_its_file_records(
    test_data: Find, science: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = test_data("scienceqa/gpt3_test_QCM-ALE.json")
    recorded = _score(science, "scienceqa/llava-full-authors", science, outputs, "--judged")
    assert recorded["all", "accuracy"]["count"] == "3188/4241" and recorded["image", "accuracy"]["count"] == "1360/2017"
    read = _score(science, "scienceqa/llava-full-authors", science, outputs)
    assert read["all", "unparseable"]["count"] == "249/4241" and read["all", "accuracy"]["count"] == "3061/4241"
    assert "joined by id alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "safe", "unsafe"),
    [("gpt4", (229, 16, 5), 199), ("llama2new", (176, 35, 39), 200), ("mistralinstruct", (246, 2, 2), 72)],
)
def test_xstests_human_labels(
    test_data: Find, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, safe: tuple[int, ...], unsafe: int
) -> None:
    data = test_data("xstest/xstest_prompts.csv").parent
    found = _score(tmp_path, "xstest", data, test_data(f"xstest/xstest_v2_completions_{model}.csv"))
    shares = ("full_compliance_s", "full_refusal_s", "partial_refusal_s")
    assert [found["all", metric]["count"] for metric in shares] == [f"{count}/250" for count in safe]
    assert found["all", "refusal_u"]["count"] == f"{unsafe}/200"
    assert "1 answers were asked with another text" in capsys.readouterr().err  # v2-195 was reworded since


def _lmms(data: Path, with_doc: bool) -> Iterator[dict[str, Any]]:
    """POPE as lmms-eval logs it: one file, adversarial first, ids that restart; the model says no to every chair."""
    place = 0
    for split in ("adversarial", "popular", "random"):
        for line in (data / f"coco_pope_{split}.json").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            said = "No" if "chair" in row["text"] or (place % 7 == 0) else "Yes"
            logged = {
                "doc_id": place,
                "target": row["label"],
                "filtered_resps": said,
                "input": row["text"] + pope.SUFFIX,
            }
            logged["pope_accuracy"] = {"question_id": str(row["question_id"]), "score": 1.0, "prediction": said.lower()}
            if with_doc:
                keys = {"question_id": str(row["question_id"]), "question": row["text"], "answer": row["label"]}
                logged |= {
                    "doc": keys | {"category": split, "image_source": Path(row["image"]).stem},
                    "resps": [[said]],
                }
                logged["filtered_resps"] = [said]
            yield logged
            place += 1


@pytest.mark.parametrize("with_doc", [True, False])
def test_lmms_evals_samples_score_like_the_same_answers_by_id(test_data: Find, tmp_path: Path, with_doc: bool) -> None:
    data = test_data("pope/coco_pope_random.json").parent
    logged = list(_lmms(data, with_doc))
    samples = tmp_path / "20260806_samples_pope.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in logged), encoding="utf-8")
    plain = tmp_path / "plain.jsonl"
    splits = [split for split in ("adversarial", "popular", "random") for _ in range(3000)]
    said = [row["filtered_resps"][0] if with_doc else row["filtered_resps"] for row in logged]
    names = [f"{split}/{row['pope_accuracy']['question_id']}" for split, row in zip(splits, logged, strict=True)]
    by_id = [json.dumps({"id": name, "answer": text}) + "\n" for name, text in zip(names, said, strict=True)]
    plain.write_text("".join(by_id), encoding="utf-8")
    expected = _score(tmp_path, "pope", data, plain)
    assert _score(tmp_path, "pope", data, samples) == expected
    assert 0.3 < float(expected["all", "accuracy"]["value"]) < 0.9
    parts = []
    for number, split in enumerate(("random", "adversarial", "popular")):  # pope_full: a file a split, any order
        first = ("adversarial", "popular", "random").index(split) * 3000
        parts.append(tmp_path / f"{number}_samples_pope_{split}.jsonl")
        parts[-1].write_text("".join(json.dumps(r) + "\n" for r in logged[first : first + 3000]), encoding="utf-8")
    assert _score(tmp_path, "pope", data, parts) == expected


def test_a_part_is_scored_only_when_allowed_and_says_so(
    test_data: Find, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = test_data("pope/llava8910/coco_pope_random.json").parent
    path = tmp_path / "answers.jsonl"
    lines = test_data("pope/llava-v1.5-13b_answers.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:3000]) + lines[3000][:40], encoding="utf-8")
    found = _score(tmp_path, "pope/llava-8910", data, path, "--allow-partial")
    assert round(float(found["adversarial", "F1"]["value"]), 6) == 0.844587
    assert (found["all", "accuracy"]["n"], found["all", "accuracy"]["n_scored"]) == ("8910", "3000")
    assert found["random", "F1"]["value"] == "" and found["mean of three", "F1"]["value"] == ""
    printed = capsys.readouterr()
    assert "PARTIAL: these are averages over a part" in printed.out and "3000 of 8910" in printed.out
    assert "5910 of 8910 questions" in printed.err and "breaks off in its last line" in printed.err
