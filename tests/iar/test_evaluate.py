from __future__ import annotations

import json
import re
import shutil

import pandas as pd
import pytest
from omegaconf import OmegaConf

from iar.generation import Engine


def test_the_baseline_needs_neither_vectors_nor_pairs(small, command, tmp_path, pocket_data):
    settings = [a for a in small if not a.startswith("vectors=")]
    done = command("evaluate", *settings, "method=none", "data.pairs=nowhere.jsonl", "run=r")
    assert done.code == 0, done.err
    assert done.out.split() == ["r/scores.csv", "r/methods.csv", "r/methods.md", "r/methods.tex"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r"]
    assert set(pd.read_csv(tmp_path / "r/scores.csv")["configuration"]) == {"none"}


def test_the_default_folder_is_the_same_for_the_same_command(small, command, tmp_path, monkeypatch):
    first = command("evaluate", *small, "layer=2", "benchmark=pope")
    assert first.code == 0, first.err
    monkeypatch.setattr(Engine, "_generate", None)
    second = command("evaluate", *small, "layer=2", "benchmark=pope")
    assert second.code == 0 and second.out == first.out, second.err
    assert first.out.startswith("runs/evaluate-")
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_random_direction_of_a_seed(small, command, tmp_path):
    """The seed is the direction's; the data stay those of their own seed."""
    done = command("evaluate", *small, "method=random", "seed=3", "layer=2", "benchmark=pope", "run=r")
    assert done.code == 0, done.err
    assert set(pd.read_csv(tmp_path / "r/scores.csv")["configuration"]) == {"none", "random-L2-x1.5-s3"}


def test_two_layers_at_once(small, command, tmp_path):
    done = command("evaluate", *small, "layer=[1,2]", "strength=1", "benchmark=scienceqa", "run=r")
    assert done.code == 0, done.err
    assert set(pd.read_csv(tmp_path / "r/scores.csv")["configuration"]) == {"none", "iar-L1+2-x1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Where the run of `compared` is kept, and what the command printed."""
    return tmp_path_factory.mktemp("compared") / "r", []


@pytest.fixture
def compared(small, command, tmp_path, made):
    """The methods side by side on two benchmarks, in the folder r: a copy of a run that is made once."""
    methods = "method=cot,prompt,fewshot,iar,fewshot+iar"
    settings = [*small, methods, "layer=2", "reasoning_tokens=5", "benchmark=[vscbench,pope]", "run=r"]
    folder, done = made
    if not done:
        done.append(command("evaluate", *settings))
        assert done[0].code == 0, done[0].err
        (tmp_path / "r").rename(folder)
    shutil.copytree(folder, tmp_path / "r")
    return settings, done[0]


NAMES = ["none", "cot", "prompt", "fewshot-1", "iar-L2-x1.5", "fewshot-1+iar-L2-x1.5"]


def test_several_methods_make_the_table_with_the_baseline(compared, command, tmp_path):
    done = compared[1]
    assert done.out.split() == ["r/scores.csv", "r/methods.csv", "r/methods.md", "r/methods.tex"]
    scores = pd.read_csv(tmp_path / "r/scores.csv")
    assert list(scores["configuration"].unique()) == NAMES
    assert set(scores[scores["metric"] == "no_final"]["configuration"]) == {"cot"}
    lines = (tmp_path / "r/generations.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 6 * 2 * 4 and {r["error"] for r in records} == {None}
    # what is said makes the prompts longer; a chain of thought makes answers longer
    means = scores[scores["benchmark"] == "vscbench"].pivot_table(
        index="configuration", columns="metric", values="value"
    )
    prompts = means["prompt_tokens"]
    assert prompts["none"] == prompts["iar-L2-x1.5"] < prompts["prompt"] and prompts["none"] < prompts["fewshot-1"]
    assert max(r["tokens"] for r in records if r["configuration"] == "cot") <= 11
    assert max(r["tokens"] for r in records if r["configuration"] != "cot") <= 6
    timings = pd.read_csv(tmp_path / "r/timings.csv")
    assert len(timings) == 6 * 2 and set(timings["answers"]) == {4} and (timings["seconds"] > 0).all()
    differences = pd.read_csv(tmp_path / "r/differences.csv")
    assert set(differences["configuration"]) == set(NAMES[1:])
    settings = OmegaConf.load(tmp_path / "r/configs/fewshot-1+iar-L2-x1.5.yaml")
    assert (settings.method, settings.shots, settings.shots_by, settings.reminder) == ("fewshot+iar", 1, "seed", "")
    assert "demonstrations" in json.loads((tmp_path / "r/definition.json").read_text())


def test_the_table_again_from_the_files(compared, command, tmp_path):
    text = (tmp_path / "r/methods.md").read_text()
    table = command("report", "r", "--markdown")
    assert table.code == 0 and table.out == text and "\n| method | SRA_s | SRA_u | SRA_a |" in f"\n{table.out}"
    shown = command("report", "r", "--title", "once more")
    assert shown.code == 0, shown.err
    assert "once more" in shown.err and "SRA_s / SRA_u / SRA_a by category and mode" in shown.err
    (tmp_path / "r/methods.csv").write_text("old")
    assert command("judge", "r").code == 0
    assert (tmp_path / "r/methods.md").read_text() == text and (tmp_path / "r/methods.csv").read_text() != "old"


def test_the_same_command_asks_nothing_and_more_methods_ask_theirs_alone(compared, command, tmp_path, monkeypatch):
    settings, _ = compared
    before = {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir() if p.is_file() and p.name != "log.txt"}
    monkeypatch.setattr(Engine, "_generate", None)
    done = command("evaluate", *settings)
    assert done.code == 0, done.err
    assert {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir() if p.is_file() and p.name != "log.txt"} == before
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    asked = []
    generate = Engine._generate
    monkeypatch.setattr(
        Engine, "_generate", lambda self, rows, *rest: asked.extend(rows) or generate(self, rows, *rest)
    )
    done = command("evaluate", *settings, "method=iar,prompt,fewshot", "reminder=standard,brief", "shots=1,2")
    assert done.code == 0, done.err
    names = {row.configuration.name for row in asked}
    assert names == {"prompt-brief", "fewshot-2"} and {len(row.images) for row in asked} == {1, 5}


def test_a_text_of_ones_own_with_commas_and_the_place_of_the_question(small, command, tmp_path):
    text = """reminder='Be careful, please. {question} Thanks, all!'"""
    done = command("evaluate", *small, "method=prompt", text, "benchmark=pope", "run=r")
    assert done.code == 0, done.err
    (name,) = {"none"} ^ set(pd.read_csv(tmp_path / "r/scores.csv")["configuration"])
    assert re.fullmatch(r"prompt-[0-9a-f]{8}", name)
    assert OmegaConf.load(tmp_path / f"r/configs/{name}.yaml").reminder == "Be careful, please. {question} Thanks, all!"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.max_images=1", "fewshot-1 shows 3 images and model tiny takes 1 (model.max_images): leave fewshot out"),
        ("demonstrations=nowhere.jsonl", "nowhere.jsonl does not exist: demonstrations=FILE, one JSON object a line"),
        ("shots=6", "shots=6 needs 7 pairs of demonstrations"),
        ("limit=3,4", "one run has one limit: run again for each value of 'limit'"),
        ("reasoning_tokens=0", "reasoning_tokens=0 must be a whole number from 1"),
    ],
)
def test_a_slip_is_one_line_and_nothing_is_written(small, command, tmp_path, setting, message):
    done = command("evaluate", *small, "method=cot,fewshot", setting)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err and list(tmp_path.iterdir()) == []
