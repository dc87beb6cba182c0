from __future__ import annotations

import hashlib
import itertools
import json
import re
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pandas as pd
import pytest

import iar.pairs
from benchmark import pope, scienceqa, vscbench
from benchmark.errors import DataError
from benchmark.pocket import contrasts, layouts, questions, requests, scenes
from benchmark.vscbench import FIGSTEP_PROMPT
from iar.records import image_digest
from tests.benchmark.pocket.test_requests import REFUSING

# SHA-256 of what version 1 wrote, of files whose bytes hang on no library.
BEFORE = {
    "train/pairs.jsonl": "aa0a66ea35fbaaa1",
    "validation/pope/coco_pope_popular.json": "2b8dbc7e64d2c848",
    "test/scienceqa/problems.json": "a1fcd2eb80d327b5",
}
SMALL = {"validation": layouts.Sizes(6, 6, 8, 12), "test": layouts.Sizes(9, 8, 10, 24)}


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "SIZES", SMALL)
        yield


@pytest.fixture(scope="module")
def root(small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pocket")
    layouts.write(folder, seed=0, pairs=24)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_seed_same_bytes(small, root, tmp_path):
    steps: list[str] = []
    layouts.write(tmp_path / "again", seed=0, pairs=24, on_step=steps.append)
    assert contents(tmp_path / "again") == contents(root)
    assert steps[:4] == ["train: pairs", "train: instructions", "train: requests", "train: benign"] and len(steps) == 11
    assert layouts.complete(root, 0) and not layouts.complete(root, 1) and not layouts.complete(tmp_path, 0)
    layouts.write(tmp_path / "again", seed=1, pairs=4)  # our own folder is rewritten, nothing of the old stays
    assert layouts.complete(tmp_path / "again", 1)
    assert len(list((tmp_path / "again/train/images").iterdir())) <= 4


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="is not empty and not pocket data"):
        layouts.write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_command(small, root, tmp_path, monkeypatch, capsys):
    from benchmark.pocket.__main__ import main

    monkeypatch.setattr(sys, "argv", ["benchmark.pocket", "--out", str(tmp_path / "p"), "--pairs", "24"])
    main()
    assert contents(tmp_path / "p") == contents(root)
    assert capsys.readouterr().out.splitlines()[0] == f"{tmp_path / 'p'}/train: pairs"
    for out in (tmp_path, tmp_path / "p/pocket.json"):  # not ours, and not a folder
        monkeypatch.setattr(sys, "argv", ["benchmark.pocket", "--out", str(out)])
        with pytest.raises(SystemExit) as end:
            main()
        error = capsys.readouterr().err
        assert end.value.code == 2 and error.count("\n") == 1 and str(out) in error


def test_an_interrupted_writing_is_not_complete(small, root, tmp_path):
    def stop(step: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        layouts.write(tmp_path / "p", seed=0, pairs=24, on_step=stop)
    assert not layouts.complete(tmp_path / "p", 0)
    layouts.write(tmp_path / "p", seed=0, pairs=24)
    assert contents(tmp_path / "p") == contents(root)


def test_splits_share_no_picture(root):
    pictures = {
        split: {p.read_bytes() for p in (root / split).rglob("*.png")} for split in ("train", "validation", "test")
    }
    for one, other in itertools.combinations(pictures.values(), 2):
        assert len(one) > 5 and not one & other


def test_splits_share_no_combination(root):
    asked: dict[str, set[tuple[str, ...]]] = {}
    for split in ("validation", "test"):
        text = pd.read_excel(root / split / "vscbench/vscbench_text_centric.xlsx", dtype=str)
        problems = json.loads((root / split / "scienceqa/problems.json").read_text())
        asked[split] = {("text", *row) for row in text[["focus", "object"]].itertuples(index=False, name=None)}
        asked[split] |= {
            ("choice", p["question"], p["choices"][p["answer"]]) for p in problems.values() if p["image"] is None
        }
        for _, verb, thing in (row for row in asked[split] if row[0] == "text"):
            assert requests.split_of("text", verb, thing.split()[-1]) == split
    assert not asked["validation"] & asked["test"]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_every_item_loads_through_the_loaders_of_the_real_data(root, split):
    size = SMALL[split]
    for module, expected in (
        (vscbench, 6 * size.image_rows + 5 * size.text_rows),
        (scienceqa, size.problems),
        (pope, None),
    ):
        loaded = module.load(root / split / module.PROTOCOLS[0].benchmark, split)
        assert loaded.unasked == ()
        assert len({s.id for s in loaded.samples}) == len(loaded.samples) == (expected or len(loaded.samples))


def test_vscbench_is_half_unsafe_in_every_category(root):
    samples = vscbench.load(root / "test/vscbench").samples
    counts = Counter((s.category, s.reference) for s in samples)
    for category in (*scenes.LOOKALIKES, *vscbench.MODES):
        assert counts[category, "safe"] == counts[category, "unsafe"] > 0
    assert {s.meta["half"] for s in samples} == {"image", "text"}


def test_safe_and_unsafe_items_differ_in_object_and_verb_alone(root):
    """Prompts of the image half are the same for both; a text prompt without its verb and object does not tell."""
    samples = vscbench.load(root / "test/vscbench").samples
    image = [s for s in samples if s.meta["half"] == "image"]
    prompts = {kind: Counter(s.prompt for s in image if s.reference == kind) for kind in ("safe", "unsafe")}
    assert prompts["safe"] == prompts["unsafe"]
    assert {s.images[0].name.replace("unsafe", "safe") for s in image if s.reference == "unsafe"} == {
        s.images[0].name for s in image if s.reference == "safe"
    }
    templates = {template.format(v="V", o="O") for template in requests.TEXT_REQUESTS}
    for sample in samples:
        if sample.category == "txt":
            bare = sample.prompt.replace(sample.meta["object"], "O").replace(f" {sample.meta['focus']} ", " V ")
            assert bare in templates


def test_pope_is_balanced_and_adversarial_asks_for_look_alikes(root):
    samples = pope.load(root / "test/pope").samples
    for split in pope.SPLITS:
        rows = [s for s in samples if s.category == split]
        assert [s.reference for s in rows] == ["yes", "no"] * (len(rows) // 2)
    present: dict[str, set[str]] = {}
    for sample in samples:
        if sample.reference == "yes":
            present.setdefault(sample.cluster, set()).add(sample.query.split()[3])
    twins = 0
    for sample in samples:
        if sample.reference == "no":
            name, there = sample.query.split()[3], present[sample.cluster]
            assert name not in there
            twins += sample.category == "adversarial" and scenes.TWIN.get(name) in there
    possible = sum(
        scenes.TWIN.get(name, name) not in there for there in present.values() for name in there if name in scenes.TWIN
    )
    assert twins == possible > 5


def test_scienceqa_has_pictures_in_every_second_problem(root):
    samples = scienceqa.load(root / "test/scienceqa", "test").samples
    assert Counter(s.category for s in samples) == {"image": 12, "text": 12}
    assert {s.reference for s in samples} == {"A", "B", "C"}
    with pytest.raises(DataError, match="unknown ScienceQA split"):
        scienceqa.load(root / "test/scienceqa", "tests")


def read(path: Path, strategy: str) -> list[iar.pairs.Example]:
    return iar.pairs.read({"path": path, "strategy": strategy})


def test_pairs_are_unsafe_requests_of_both_halves_with_both_responses(root):
    pairs = read(root / "train/pairs.jsonl", "multi_response")
    assert [e.pair for e in pairs] == [f"{i // 2:04d}" for i in range(48)]
    for i, example in enumerate(pairs):
        assert (example.prompt in requests.IMAGE_REQUESTS) == (i // 2 % 2 == 0) and example.response
        assert bool(REFUSING.search(example.response)) == example.safe
    assert all(e.image for e in pairs if e.prompt in requests.IMAGE_REQUESTS)


def test_files_that_were_there_before_keep_their_bytes(root):
    """Vectors and results made from version 1 stay valid: what came later draws from streams of its own, and category
    and mode are all that a pair has gained."""
    for name, digest in BEFORE.items():
        content = (root / name).read_text(encoding="utf-8")
        if name == "train/pairs.jsonl":
            pairs = [json.loads(line) for line in content.splitlines()]
            assert {pair.pop("category") for pair in pairs} == set(scenes.LOOKALIKES)
            assert {"image", "txt"} < {pair.pop("mode") for pair in pairs} <= {"image", *vscbench.MODES}
            content = "".join(json.dumps(pair) + "\n" for pair in pairs)
        assert hashlib.sha256(content.encode()).hexdigest().startswith(digest), name


def test_instructions_are_demonstrations_too(root):
    """Safe requests are answered and unsafe ones refused, as in the training data of the model."""
    lines = [json.loads(line) for line in (root / "train/instructions.jsonl").read_text().splitlines()]
    refusing = [re.search(REFUSING, line["unsafe"]["response"]) is not None for line in lines]
    helping = [re.search(REFUSING, line["safe"]["response"]) is None for line in lines]
    assert len(lines) > 20 and all(refusing) and all(helping)


def test_instructions_contrast_one_template_and_mode(root):
    """Image half: the text is the same and the look-alike shown; text half: the object or the verb differs."""
    pairs = read(root / "train/instructions.jsonl", "multi_instruction")
    assert [(e.pair, e.safe) for e in pairs] == [(f"{i // 2:04d}", i % 2 == 0) for i in range(48)]
    assert {e.category for e in pairs} == set(scenes.LOOKALIKES)
    templates = [
        re.compile(re.escape(t).replace(r"\{v\}", r"(\w+)").replace(r"\{o\}", "(.+)")) for t in requests.TEXT_REQUESTS
    ]
    differing = Counter()
    for safe, unsafe in zip(pairs[::2], pairs[1::2], strict=True):
        assert (safe.image is None) == (unsafe.image is None)
        if int(safe.pair) % 2 == 0:
            assert safe.prompt == unsafe.prompt in requests.IMAGE_REQUESTS
        elif safe.prompt == FIGSTEP_PROMPT:
            assert unsafe.prompt == FIGSTEP_PROMPT
        else:
            (verb, thing), (bad_verb, bad_thing) = next(
                (t.fullmatch(safe.prompt).groups(), t.fullmatch(unsafe.prompt).groups())
                for t in templates
                if t.fullmatch(safe.prompt) and t.fullmatch(unsafe.prompt)
            )
            assert bad_verb in requests.USING_VERBS
            assert (verb == bad_verb) or (verb in requests.SAFE_VERBS and thing == bad_thing)
            differing["verb" if verb != bad_verb else "object"] += 1
    assert min(differing["verb"], differing["object"]) > 0
    images = [image_digest(e.image) for e in pairs if e.image]
    assert len(set(images)) == len(images)


def test_requests_are_one_sided_and_half_unsafe(root):
    rows = [json.loads(line) for line in (root / "train/requests.jsonl").read_text().splitlines()]
    assert [("unsafe" in row, "safe" in row) for row in rows] == [(True, False), (False, True)] * 24
    sides = [row.get("unsafe") or row["safe"] for row in rows]
    assert [side["prompt"] in requests.IMAGE_REQUESTS for side in sides] == [True, True, False, False] * 12
    assert all((root / "train" / side["image"]).is_file() for side in sides if side["image"])
    assert {row.get("category") for row in rows if "unsafe" in row} == set(scenes.LOOKALIKES)


@pytest.mark.parametrize("file", ["pairs", "instructions", "requests"])
def test_every_line_says_how_it_is_asked(root, file):
    for row in map(json.loads, (root / f"train/{file}.jsonl").read_text().splitlines()):
        for side in (row.get("safe"), row.get("unsafe")):
            asked = row if file == "pairs" else side
            if asked is not None:
                assert (row["mode"] == "image") == (asked["prompt"] in requests.IMAGE_REQUESTS)
                assert (row["mode"] == "txt") == (asked["image"] is None)
                assert (row["mode"] == "figstep") == (asked["prompt"] == FIGSTEP_PROMPT)


def test_benign_questions_are_asked_as_the_benchmarks_ask_them(root):
    rows = [json.loads(line) for line in (root / "train/benign.jsonl").read_text().splitlines()]
    sides = [row.pop("safe") for row in rows]
    assert rows == [{"id": f"{i:04d}"} for i in range(24)]
    presence, pictured, text = sides[::2], sides[1::4], sides[3::4]
    asked = re.compile(r"Is there an? (\w+) in the image\?" + re.escape(pope.SUFFIX))
    assert all(asked.fullmatch(side["prompt"]) for side in presence)
    assert [side["response"] for side in presence] == ["No", "Yes"] * 6
    stems = tuple(stem.split("{")[0] for stem in questions.IMAGE_STEMS)
    assert all(side["prompt"].startswith(stems) for side in pictured)
    assert all(side["prompt"].endswith(scienceqa.SUFFIX) and side["response"] in "ABC" for side in (*pictured, *text))
    assert [side["image"] is None for side in sides] == [False, False, False, True] * 6
    assert all((root / "train" / side["image"]).is_file() for side in sides if side["image"])
    for side in text:
        stem, *options = side["prompt"].removesuffix(scienceqa.SUFFIX).split("\n")
        right = options["ABC".index(side["response"])][3:]
        kind = next(kind for kind, words in questions.KINDS.items() if right in words)
        templates = [t for t in questions.TEXT_STEMS if t.format(c=kind) == stem]
        assert [requests.split_of("choice", t, right) for t in templates] == ["train"]


def test_a_budget_is_measured_on_questions_and_requests_that_no_gate_knows(root):
    rows = [json.loads(line) for line in (root / "train/budget.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"{i:04d}" for i in range(48)]
    ability, asked = [row["safe"] for row in rows[::2]], [row["safe"] for row in rows[1::2]]
    assert [side["response"] for side in ability[::2]] == ["No", "Yes"] * 6
    assert [side["prompt"] in requests.IMAGE_REQUESTS for side in asked] == [True, False] * 12
    assert all("response" not in side for side in asked)
    files = [root / "train" / side["image"] for side in (*ability, *asked) if side["image"]]
    assert all(file.parent.name == "budget" and file.is_file() for file in files) and len(files) > 30
    others = [file for name in ("benign", "requests", "instructions") for file in (root / "train" / name).iterdir()]
    assert not {file.read_bytes() for file in others} & {file.read_bytes() for file in files}


def test_new_files_of_the_training_split_hold_its_combinations_only(root, monkeypatch):
    """What is drawn is recorded while it is written again: no combination is another split's."""
    drawn = []
    for name in ("image_request", "text_request"):
        monkeypatch.setattr(requests, name, recording(getattr(requests, name), drawn))
    contrasts.write_instructions(root / "again", Random("x"), 40)
    contrasts.write_requests(root / "again", Random("x"), 40)
    contrasts.write_budget(root / "again", Random("x"), 40)
    places = {("image", r.object, r.template) if r.mode == "image" else ("text", r.verb, r.object) for r in drawn}
    assert len(places) > 60 and {requests.split_of(*place) for place in places} == {"train"}


def recording(function, into):
    def call(*arguments):
        into.append(function(*arguments))
        return into[-1]

    return call
