from __future__ import annotations

import base64
import json
import shutil

import pytest
from PIL import Image

import benchmark
from benchmark.pocket import layouts
from benchmark.sample import Sample
from iar import explorer
from iar.explorer import questions
from iar.pipeline.evaluation.finished_run import FinishedRun
from tests.iar.explorer import runs


def sample(benchmark: str, reference: str, category: str = "drugs") -> Sample:
    return Sample("0", benchmark, category, "?", (), reference, "0")


@pytest.mark.parametrize(
    ("name", "reference", "label", "wanted"),
    [
        ("vscbench", "unsafe", "refusal", True),
        ("vscbench", "unsafe", "warning", True),
        ("vscbench", "unsafe", "irrelevant", False),
        ("vscbench", "safe", "answer", True),
        ("vscbench", "safe", "warning", False),
        ("vscbench", "safe", None, None),
        ("dualbench", "unsafe", "safe_completion", True),
        ("dualbench", "safe", "direct_answer", True),
        ("scienceqa", "B", "B", True),
        ("scienceqa", "B", None, False),  # what cannot be parsed is wrong
        ("manifest", "a cat", "right", True),
        ("vscbench", "", "answer", None),
    ],
)
def test_right(name, reference, label, wanted):
    assert questions.right(benchmark.protocol(name), sample(name, reference), label) is wanted


def test_harmful_categories_are_those_with_an_unsafe_request():
    samples = [
        sample("vscbench", "unsafe", "drugs"),
        sample("vscbench", "safe", "drugs"),
        sample("pope", "yes", "random"),
    ]
    assert questions.harmful({(s.benchmark, s.reference): s for s in samples}) == {("vscbench", "drugs")}


def test_reads_what_was_asked(small_run, pocket_data):
    with questions.asked(FinishedRun.at(small_run)) as found:
        assert found.notes == []
        assert {benchmark for benchmark, _ in found.samples} == {"vscbench", "pope", "scienceqa"}
        assert found.samples["vscbench", "image/violence/0/safe_0"].images[0].is_file()
    assert found.protocols["pope"].id == "pope/official-9000@2"


def test_looks_above_the_run(small_run, pocket_data, tmp_path, monkeypatch):
    """A relative data folder is found from anywhere, as long as it is where it was beside the run."""
    run = shutil.copytree(small_run, tmp_path / "work/runs/r")
    shutil.copytree(pocket_data, tmp_path / "work/data/pocket")
    for file in (run / "configs").iterdir():
        file.write_text(file.read_text().replace(str(pocket_data), "data/pocket"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with questions.asked(FinishedRun.at(run)) as found:
        assert found.notes == [] and found.samples


def test_data_that_are_gone_or_are_others(small_run, pocket_data, tmp_path):
    run = FinishedRun.at(small_run)
    with questions.asked(run, tmp_path) as found:
        assert found.samples == {} and len(found.notes) == 3 and "No questions of pope: no " in found.notes[1]
    other = shutil.copytree(pocket_data / "validation", tmp_path / "other")
    file = other / "pope/coco_pope_random.json"
    file.write_text(file.read_text().replace("Is there", "Was there"))
    for image in (other / "scienceqa/images").rglob("*.png"):
        image.unlink()
    with questions.asked(run, other) as found:
        assert found.notes == ["No questions of pope: its data folder holds others than the run was asked."]
        lost = [s for (name, _), s in found.samples.items() if name == "scienceqa" and s.images]
        assert lost and not any(s.images[0].is_file() for s in lost)  # asked then: shown without its picture


@pytest.mark.parametrize("name", ["folder", "pocket"])
def test_a_folder_that_is_gone(small_run, tmp_path, monkeypatch, name):
    """Pocket data are drawn again, the same; of others the page says what is missing."""
    monkeypatch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(3, 4, 4, 8)))
    run = shutil.copytree(small_run, tmp_path / "r")
    for file in (run / "configs").iterdir():
        lines = file.read_text().splitlines()
        at = lines.index("  name: pocket", lines.index("data:"))
        lines[at] = f"  name: {name}"
        text = "\n".join(
            f"  validation: {tmp_path}/gone" if line.startswith("  validation:") else line for line in lines
        )
        file.write_text(text + "\n")
    with questions.asked(FinishedRun.at(run)) as found:
        if name == "folder":
            assert found.samples == {} and f"are not at {tmp_path}/gone any more: give --data DIR" in found.notes[0]
        else:
            assert found.notes == []
            assert all(path.is_file() for sample in found.samples.values() for path in sample.images)
    assert not (tmp_path / "gone").exists()


def test_no_image_from_outside_the_data_folder_is_in_the_page(tmp_path):
    """A run that someone sent names pictures of this machine: by dots, by a whole path, and by links."""
    root = tmp_path / "data"
    (root / "manifest/images").mkdir(parents=True)
    private, own = tmp_path / "private.png", root / "manifest/images/own.png"
    for path, colour in ((private, "red"), (own, "blue")):
        Image.new("RGB", (8, 8), colour).save(path)
    (own.parent / "link.png").symlink_to(private)
    (own.parent / "linked").symlink_to(tmp_path)
    names = ["images/own.png", "../../private.png", str(private), "images/link.png", "images/linked/private.png"]
    rows = [{"id": str(i), "images": [name], "text": "q", "label": "safe"} for i, name in enumerate(names)]
    (root / "manifest/manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    cfg = runs.settings(root, "benchmark=manifest", "data=folder", "data.shared=false")
    run = runs.write(tmp_path / "run", cfg, configurations=runs.CONFIGURATIONS[:2])
    pages = [file.read_text() for file in explorer.write(run) if file.is_file()]
    held = [base64.b64encode(path.read_bytes()).decode() for path in (own, private)]
    with questions.asked(FinishedRun.at(run)) as found:
        assert sorted(path.name for path in found.outside) == ["link.png", "private.png", "private.png", "private.png"]
    assert all(text not in page for page in pages for text in held[1:])
    assert any("4 images lie outside of their data folder" in page for page in pages)
