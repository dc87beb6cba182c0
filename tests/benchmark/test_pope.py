from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from benchmark import pope
from benchmark.errors import DataError
from benchmark.sample import Sample

# TP, FP, TN, FN of LLaVA-1.5-13B with POPE's own evaluate.py on the 8,910 questions that LLaVA scores on.
LLAVA_13B = {
    "random": (1182, 31, 1379, 318),
    "popular": (1182, 59, 1441, 318),
    "adversarial": (1182, 117, 1383, 318),
}


def make(root: Path, folder: str = "val2014", end: str = "\n") -> Path:
    """Two questions on one image in each split."""
    for split in pope.SPLITS:
        rows = [
            {"question_id": n, "image": "x.png", "text": f"Is there a {thing} in the image?", "label": label}
            for n, (thing, label) in enumerate([("spoon", "yes"), ("knife", "no")], start=1)
        ]
        lines = end.join(json.dumps(row) for row in rows) + end
        (root / f"coco_pope_{split}.json").write_bytes(lines.encode())
    (root / folder).mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(root / folder / "x.png")
    return root


@pytest.mark.parametrize(("folder", "total"), [("pope", 9000), ("pope/llava8910", 8910)])
def test_both_real_versions_load(test_data, tmp_path, folder, total):
    for split in pope.SPLITS:
        name = f"coco_pope_{split}.json"
        (tmp_path / name).symlink_to(test_data(f"{folder}/{name}"))
    images = {json.loads(line)["image"] for line in (tmp_path / "coco_pope_random.json").open()}
    (tmp_path / "val2014").mkdir()
    for image in images:
        Image.new("L", (1, 1)).save(tmp_path / "val2014" / image)
    loaded = pope.load(tmp_path)
    assert len(loaded.samples) == len({s.id for s in loaded.samples}) == total and not loaded.unasked
    assert Counter(s.reference for s in loaded.samples)["yes"] == 4500
    assert len({s.cluster for s in loaded.samples}) == 500
    first = next(s for s in loaded.samples if s.id == "adversarial/1")
    asked = test_data("pope/llava_pope_test.jsonl").open().readline()
    assert first.prompt == json.loads(asked)["text"] and first.category == "adversarial"


@pytest.mark.parametrize("rule", [pope.parse, pope.parse_official, pope.parse_exact])
def test_golden_counts_of_llava_13b(test_data, rule):
    questions = [json.loads(line) for line in test_data("pope/llava_pope_test.jsonl").open()]
    answers = [json.loads(line) for line in test_data("pope/llava-v1.5-13b_answers.jsonl").open()]
    labels = {
        (split, row["question_id"]): row
        for split in pope.SPLITS
        for row in map(json.loads, test_data(f"pope/llava8910/coco_pope_{split}.json").open())
    }
    counts: Counter[tuple[str, str, str]] = Counter()
    position: Counter[str] = Counter()
    for question, answer in zip(questions, answers, strict=True):
        split = question["category"]
        position[split] += 1
        row = labels[split, position[split]]
        # joined by position within the split, so make sure that it is the same question
        assert (row["image"], row["text"] + pope.PROTOCOL.suffix) == (question["image"], question["text"])
        counts[split, rule(answer["text"]), row["label"]] += 1
    for split, expected in LLAVA_13B.items():
        found = [counts[(split, *key)] for key in (("yes", "yes"), ("yes", "no"), ("no", "no"), ("no", "yes"))]
        assert tuple(found) == expected
    assert sum(counts.values()) == 8910


@pytest.mark.parametrize(
    ("answer", "default", "official", "exact"),
    [
        ("Yes", "yes", "yes", "yes"),
        (" no ", "no", "no", "no"),
        ("Yes, there is.", "yes", "yes", None),
        ("No, there is not", "no", "no", None),
        ("NO!", "no", "yes", None),  # the official rule is case-sensitive and else says yes
        ("1. No", "no", "yes", None),  # ... and reads only up to the first full stop
        ("yes and no", None, "no", None),
        ("", None, "yes", None),
        ("knowing knife knife", None, "yes", None),
        ("there is not", None, "no", None),
    ],
)
def test_the_three_rules(answer, default, official, exact):
    assert (pope.parse(answer), pope.parse_official(answer), pope.parse_exact(answer)) == (default, official, exact)


def test_outcomes_count_unparseable_as_wrong():
    sample = Sample("random/1", "pope", "random", "q", (), "yes", "x.png")

    def values(label):
        return [(o.metric, o.category, o.value) for o in pope.outcomes(sample, label)]

    assert values("yes") == [("accuracy", "random", 1.0), ("yes", "random", 1.0), ("unparseable", "random", 0.0)]
    assert [value for *_, value in values("no")] == [0.0, 0.0, 0.0]
    assert [value for *_, value in values(None)] == [0.0, 0.0, 1.0]
    with pytest.raises(ValueError, match="did you mean 'yes'"):
        pope.outcomes(sample, "yess")


@pytest.mark.parametrize("folder", pope.IMAGE_FOLDERS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_images_are_found_in_each_accepted_folder(tmp_path, folder, end):
    loaded = pope.load(make(tmp_path, folder, end))
    assert [s.id for s in loaded.samples[:3]] == ["random/1", "random/2", "popular/1"]
    assert loaded.samples[0].prompt.endswith("in the image?\nAnswer the question using a single word or phrase.")
    assert len(loaded.samples) == 6 and loaded.samples[0].images[0].is_file()


def test_a_json_array_loads_too(tmp_path):
    path = make(tmp_path) / "coco_pope_random.json"
    path.write_text(json.dumps([json.loads(line) for line in path.open()], indent=1))
    assert len(pope.load(tmp_path).samples) == 6


def test_one_missing_image_is_named_and_the_rest_goes_on(tmp_path):
    path = make(tmp_path) / "coco_pope_random.json"
    path.write_text(path.read_text().replace("x.png", "gone.png", 1))
    loaded = pope.load(tmp_path)
    assert len(loaded.samples) == 5
    assert loaded.unasked[0].id == "random/1" and str(tmp_path / "val2014" / "gone.png") in loaded.unasked[0].reason


def test_no_images_at_all_names_all_places(tmp_path):
    (make(tmp_path) / "val2014" / "x.png").unlink()
    with pytest.raises(DataError) as error:
        pope.load(tmp_path)
    message = str(error.value)
    assert f"{tmp_path / 'val2014'}, {tmp_path / 'images'}, {tmp_path}:" in message and "val2014.zip" in message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"question_id": 1, "image": "x.png", "text": "Is', "not JSON Lines"),
        ('{"question_id": 1, "image": "x.png", "label": "yes"}', "question 1: no text"),
        ('{"question_id": 1, "image": "x.png", "text": "q", "label": "maybe"}', "label 'maybe' is not yes or no"),
        ('{"question_id": 1, "image": "x.png", "text": "q", "label": "no"}\n' * 2, "question_id 1 occurs twice"),
    ],
)
def test_a_damaged_question_file_is_one_clear_line(tmp_path, line, message):
    (make(tmp_path) / "coco_pope_popular.json").write_text(line)
    with pytest.raises(DataError, match=message) as error:
        pope.load(tmp_path)
    assert "coco_pope_popular.json" in str(error.value) and "\n" not in str(error.value)


def test_missing_questions_say_what_to_download(tmp_path):
    with pytest.raises(DataError, match=r"download coco_pope_random.json from https://github.com/RUCAIBox/POPE"):
        pope.load(tmp_path)
