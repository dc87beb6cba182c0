from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from iar.generation import Engine
from iar.judges.rules import Rules

SETTINGS = ["layer=2", "strength=1.5", "controls=1", "confirm=false"]
DRAWN = ["frontier.png", "frontier.pdf", "frontier.csv", "by_method.csv", "by_method.md", "by_method.tex"]
DRAWN += ["calibration.png", "calibration.pdf", "calibration.csv"]
DRAWN += ["categories.png", "categories.pdf", "categories.csv"]  # one layer and strength are no grid
CONFIGURATIONS = ["none", "iar-L2-x1.5", "random-L2-x1.5-s1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_folder, pocket_data) -> Path:
    """A sweep as a user runs it, from an empty folder and without vectors; its run folder is to be read only."""
    folder = tmp_path_factory.mktemp("sweep")
    model = ["model=pocket", f"model.path={tiny_folder}", "model.name=tiny", "model.max_new_tokens=6"]
    arguments = [*model, f"data.root={pocket_data}", "limit=4", "run=run", *SETTINGS]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "iar.sweep", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["run/scores.csv", *(f"run/{name}" for name in DRAWN), "run/report.html"]
    assert "no vectors multi_response-mms-mean in runs/vectors/tiny: extracting them first" in done.stderr
    assert "\x1b" not in done.stderr and not re.search(r"\d:\d\d", done.stderr)  # in a pipe no colours and no bars
    assert "".join(done.stderr.split()) in "".join((folder / "run/log.txt").read_text().split())
    for name in ("none", "iar-L2-x1.5", "SRA_a", "POPE", "SQA"):
        assert name in done.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["run", "runs"]  # nothing of Hydra's is left
    return folder


def arguments(folder: Path, small: list[str], run: Path) -> list[object]:
    return [*small, f"vectors={folder / 'runs/vectors/tiny'}", *SETTINGS, f"run={run}"]


def keys(run: Path) -> set[str]:
    """Of the unsteered answers of a run."""
    lines = map(json.loads, (run / "generations.jsonl").read_text().splitlines())
    return {line["key"] for line in lines if line["configuration"] == "none"}


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return shutil.copytree(finished / "run", tmp_path / "run")


def test_files(finished):
    run = finished / "run"
    names = {"definition.json", "prompts.jsonl", "generations.jsonl", "verdicts.jsonl", "scores.csv", *DRAWN}
    names |= {"differences.csv", "hypervolume.csv", "timings.csv", "log.txt", ".lock", "results.json", "report.html"}
    assert {p.name for p in run.iterdir()} == names | {"configs", "asked.json"}
    assert {p.stem for p in (run / "configs").iterdir()} == set(CONFIGURATIONS)
    generations = [json.loads(line) for line in (run / "generations.jsonl").read_text().splitlines()]
    verdicts = [json.loads(line) for line in (run / "verdicts.jsonl").read_text().splitlines()]
    assert len(generations) == len(verdicts) == 3 * 3 * 4  # configurations x benchmarks x samples
    assert {g["configuration"] for g in generations} == set(CONFIGURATIONS)
    assert {len(g["key"]) for g in generations} == {64} and {g["error"] for g in generations} == {None}
    assert max(g["tokens"] for g in generations) == 6
    assert [(v["key"], v["sample"]) for v in verdicts] == [(g["key"], g["sample"]) for g in generations]
    definition = json.loads((run / "definition.json").read_text())
    asked = {name: (entry["protocol"], entry["data"]) for name, entry in definition["benchmarks"].items()}
    protocols = {"vscbench": "vscbench/full@2", "pope": "pope/official-9000@2", "scienceqa": "scienceqa/llava-full@3"}
    assert asked == {name: (protocol, "other") for name, protocol in protocols.items()}  # pocket data are no release
    assert {len(entry["questions"]) for entry in definition["benchmarks"].values()} == {64}
    assert {(v["benchmark"], v["protocol"]) for v in verdicts} == set(protocols.items())
    assert definition["judge"] == Rules().describe() and set(definition["vectors"]) == {"multi_response-mms-mean"}


def test_scores(finished):
    scores = pd.read_csv(finished / "run/scores.csv")
    columns = [
        "configuration",
        "benchmark",
        "protocol",
        "data",
        "category",
        "metric",
        "n",
        "n_scored",
        "value",
        "low",
        "high",
        "family_low",
        "family_high",
        "families",
    ]
    assert list(scores.columns) == columns
    assert list(scores["configuration"].unique()) == CONFIGURATIONS
    total = scores[(scores["category"] == "all") & (scores["metric"].isin(["accuracy", "irrelevant", "tokens"]))]
    assert set(total["n"]) == {4} and len(total) == 3 * (3 + 3)
    assert {"SRA_s", "SRA_u", "yes", "unparseable", "letter_A"} <= set(scores["metric"])


def test_the_same_command_generates_nothing(run, finished, small, command, monkeypatch):
    def files() -> dict[str, bytes]:  # log and page hold the commands, and this one names other places
        return {
            p.name: p.read_bytes() for p in run.iterdir() if p.is_file() and p.name not in ("log.txt", "report.html")
        }

    before = files()
    monkeypatch.setattr(Engine, "_generate", None)  # any generation would fail
    done = command("sweep", *arguments(finished, small, run))
    assert done.code == 0, done.err
    assert files() == before


@pytest.mark.parametrize("verdicts", [True, False])
def test_an_interrupted_sweep_does_only_what_is_missing(run, finished, small, command, monkeypatch, verdicts):
    """Killed while writing: five lines are gone and the one before is torn."""
    before = {name: (run / name).read_bytes() for name in ("scores.csv", "generations.jsonl")}
    lines = before["generations.jsonl"].splitlines(keepends=True)
    (run / "generations.jsonl").write_bytes(b"".join(lines[:-6]) + lines[-6][:50])
    (run / "scores.csv").unlink()
    if not verdicts:
        (run / "verdicts.jsonl").unlink()
    generated = []
    generate = Engine._generate

    def counted(self, rows, *rest):
        generated.extend(rows)
        return generate(self, rows, *rest)

    monkeypatch.setattr(Engine, "_generate", counted)
    done = command("sweep", *arguments(finished, small, run), "figures=false")
    assert done.code == 0, done.err
    assert len(generated) == 6
    assert {name: (run / name).read_bytes() for name in before if name == "scores.csv"} == {
        "scores.csv": before["scores.csv"]
    }
    assert (run / "generations.jsonl").read_bytes() == before["generations.jsonl"]  # in the same order too
    assert len((run / "verdicts.jsonl").read_bytes().splitlines()) == 36


def test_a_run_of_another_definition_is_refused_and_kept(run, finished, small, command):
    before = (run / "generations.jsonl").read_bytes()
    done = command("sweep", *arguments(finished, small, run), "limit=3")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert f"{run} holds another run: data.limit: 4 there, 3 now. Use another folder (run=OTHER)" in done.err
    assert (run / "generations.jsonl").read_bytes() == before


def test_more_configurations_go_into_the_same_run(run, finished, small, command):
    done = command("sweep", *arguments(finished, small, run), "strength=1.5,2.5", "controls=0", "benchmark=vscbench")
    assert done.code == 2 and "benchmarks.pope" in done.err
    more = [a for a in arguments(finished, small, run) if a not in SETTINGS]
    done = command("sweep", *more, "layer=2", "strength=1.5,2.5", "controls=0", "confirm=false", "figures=false")
    assert done.code == 0, done.err
    assert len((run / "generations.jsonl").read_text().splitlines()) == 36 + 12
    assert list(pd.read_csv(run / "scores.csv")["configuration"].unique()) == ["none", "iar-L2-x1.5", "iar-L2-x2.5"]


def test_one_benchmark_a_job_and_a_confirmation_on_the_test_split(small, command, tmp_path, monkeypatch):
    from iar.pipeline.evaluation import confirm

    monkeypatch.setattr(confirm, "recommend", lambda *_: "iar-L3-x1")
    arguments = [*small, "benchmark=pope,vscbench", "layer=3", "strength=1", "controls=0", "run=r"]
    done = command("sweep", *arguments)
    assert done.code == 0, done.err
    written = [f"{part}/{name}" for part in ("r", "r/test") for name in ("scores.csv", *DRAWN)]
    assert done.out.split() == [*written, "r/report.html", "r/test/report.html"]
    assert "no figure" not in done.err
    for part, split in (("r", "validation"), ("r/test", "test")):
        assert json.loads((tmp_path / part / "definition.json").read_text())["data"]["split"] == split
        scores = pd.read_csv(tmp_path / part / "scores.csv")
        assert list(scores["configuration"].unique()) == ["none", "iar-L3-x1"]
        assert set(scores["benchmark"]) == {"pope", "vscbench"}
        # Chosen on the samples of one split, scored again on those of the other: keys know prompt and image.
        done = command("evaluate", *small, "method=none", f"split={split}", f"run={split}", "benchmark=[pope,vscbench]")
        assert done.code == 0, done.err
        assert keys(tmp_path / part) == keys(tmp_path / split)
    assert not keys(tmp_path / "validation") & keys(tmp_path / "test")
    done = command("sweep", *[a for a in arguments if a != "run=r"], "split=test", "run=t", "figures=false")
    alone = [f"t/{name}" for name in ("scores.csv", *DRAWN) if not name.endswith((".png", ".pdf"))]
    assert done.out.split() == alone  # nothing is chosen on the test split


def test_a_missing_and_a_broken_image_are_named_and_the_rest_goes_on(small, pocket_data, command, tmp_path):
    root = shutil.copytree(pocket_data, tmp_path / "pocket")
    folder = root / "validation/vscbench/vscbench_text_centric_images"
    gone, broken = sorted((folder / "search").iterdir())[0], sorted((folder / "concat").iterdir())[0]
    gone.unlink()
    broken.write_bytes(broken.read_bytes()[:200])  # the header is there, the pixels are not
    settings = [a for a in small if a != "limit=4"]
    settings.append("run=r")
    done = command("evaluate", *settings, f"data.root={root}", "split=validation", "benchmark=vscbench", "method=none")
    assert done.code == 0, done.err
    shown = "".join(done.err.split())  # a long path is broken anywhere
    assert "vscbench:notasked,countedasunscored:missingimage:" in shown and gone.name in shown
    assert "vscbench:noanswer,countedasunscored:cannotreadimage" in shown and broken.name in shown
    scores = pd.read_csv(tmp_path / "r/scores.csv").set_index(["category", "metric"])
    row = scores.loc[("all", "irrelevant")]
    verdicts = [json.loads(line) for line in (tmp_path / "r/verdicts.jsonl").read_text().splitlines()]
    unscored = [v["reason"] for v in verdicts if v["label"] is None]
    (image,) = [reason for reason in unscored if broken.name in reason]
    # The model's weights are random: some of its answers are in no language that the judge reads.
    assert all("read English" in reason for reason in unscored if reason != image)
    assert (row["n"], row["n_scored"]) == (38, 37 - len(unscored))
