from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

import benchmark
from benchmark import mm_safetybench
from benchmark.errors import DataError
from benchmark.sample import Sample


def _question(number: int) -> dict[str, str]:
    return {
        "Question": f"How do I bake cake {number}? ",
        "GPT-Pred": "",
        "Changed Question": f"List steps to bake cake {number}.",
        "Key Phrase": "bake cake",
        "Phrase Type": "activity",
        "Rephrased Question": f"The bottom of the image shows a phrase {number}.",
        "Rephrased Question(SD)": f"The image shows a phrase {number}.",
    }


@pytest.fixture(params=["data", "."])
def root(request, tmp_path) -> Path:
    """Three questions in each scenario, in the repository's layout and without its ``data/``."""
    base = tmp_path / request.param
    for scenario in mm_safetybench.SCENARIOS:
        for mode in mm_safetybench.TEXTS:
            (base / "imgs" / scenario / mode).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8)).save(base / "imgs" / scenario / mode / f"{number}.jpg")
        _write(base, scenario, {str(number): _question(number) for number in range(3)})
    chosen = [{"Scenario": s, "Sampled_ID_List": [2]} for s in mm_safetybench.SCENARIOS]
    (tmp_path / "TinyVersion_ID_List.json").write_text(json.dumps(chosen), encoding="utf-8")
    return tmp_path


def _write(base: Path, scenario: str, content: object) -> Path:
    path = base / "processed_questions" / f"{scenario}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _base(root: Path) -> Path:
    return root / "data" if (root / "data").is_dir() else root


def test_each_mode_shows_its_image_and_asks_its_text(root):
    loaded = mm_safetybench.load(root)
    assert len(loaded.samples) == 13 * 3 * 3 and not loaded.unasked
    found = {sample.id: sample for sample in loaded.samples}
    prompts = {mode: found[f"01-Illegal_Activitiy/1/{mode}"].prompt for mode in ("SD", "TYPO", "SD_TYPO")}
    assert prompts == {
        "SD": "The image shows a phrase 1.",
        "TYPO": "The bottom of the image shows a phrase 1.",
        "SD_TYPO": "The bottom of the image shows a phrase 1.",
    }
    for mode in prompts:
        sample = found[f"13-Gov_Decision/2/{mode}"]
        assert sample.images == (_base(root) / "imgs" / "13-Gov_Decision" / mode / "2.jpg",)
        assert (sample.query, sample.reference) == ("How do I bake cake 2?", "unsafe")
        assert (sample.category, sample.cluster) == ("13-Gov_Decision", "13-Gov_Decision/2")


def test_tiny_asks_the_selected_questions(root):
    tiny = benchmark.protocol("mm-safetybench/tiny").load(root, "test")
    assert len(tiny.samples) == 13 * 3 and {s.cluster.split("/")[1] for s in tiny.samples} == {"2"}
    assert benchmark.protocol("mm-safetybench").id == "mm-safetybench@2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            [{"Scenario": "01-Illegal_Activity", "Sampled_ID_List": [2]}],
            "entry 1: unknown scenario '01-Illegal_Activity'",
        ),
        ([{"Scenario": "06-Fraud"}], "entry 1: it needs Scenario and Sampled_ID_List"),
        ([{"Scenario": "06-Fraud", "Sampled_ID_List": [2]}], "no selection for 01-Illegal_Activitiy"),
    ],
)
def test_a_bad_selection_is_named(root, content, message):
    (root / "TinyVersion_ID_List.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        mm_safetybench.read(root, preset="tiny")


def test_a_selected_question_that_is_not_there_is_named(root):
    _write(_base(root), "06-Fraud", {"0": _question(0)})
    with pytest.raises(DataError, match=r"06-Fraud.json: no question 2, which TinyVersion_ID_List.json names"):
        mm_safetybench.read(root, preset="tiny")


def test_a_question_without_a_text_and_a_missing_scenario_are_named(root):
    question = _question(0)
    del question["Rephrased Question(SD)"]
    path = _write(_base(root), "06-Fraud", {"0": question})
    with pytest.raises(DataError, match=r"06-Fraud.json, question 0: no 'Rephrased Question\(SD\)': get https"):
        mm_safetybench.read(root)
    path.unlink()
    with pytest.raises(DataError, match=r"no 06-Fraud.json in .*: get https://github.com/isXinLiu/MM-SafetyBench"):
        mm_safetybench.read(root)


def test_single_missing_images_are_unasked_and_none_at_all_stops(root):
    images = list((_base(root) / "imgs").rglob("*.jpg"))
    for path in images[1:]:
        path.unlink()
    loaded = mm_safetybench.load(root)
    assert len(loaded.samples) == 1 and len(loaded.unasked) == 13 * 9 - 1
    images[0].unlink()
    with pytest.raises(DataError, match=r"none of the 117 images is in .*the images by the link in its README"):
        mm_safetybench.load(root)


def test_outcomes_are_counted_by_mode():
    totals: Counter[str] = Counter()
    for mode in mm_safetybench.TEXTS:
        sample = Sample("x", "mm-safetybench", "06-Fraud", "p", (), "unsafe", "x", "p", {"mode": mode})
        for label in ("answer", "warning", "refusal", "irrelevant"):
            totals.update({o.metric: o.value for o in mm_safetybench.outcomes(sample, label)})
        assert {o.metric for o in mm_safetybench.outcomes(sample, "answer") if o.value} == {f"ASR_{mode}"}
    assert dict(totals) == dict.fromkeys(mm_safetybench.PROTOCOLS[0].metrics, 1.0) and len(totals) == 6
