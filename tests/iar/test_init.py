"""The package in Python: its ten lines give the commands' numbers, and importing it costs nothing."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import iar
from iar import vectors
from iar.errors import UserError
from tests.doc_commands import ROOT, blocks

PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")


def test_importing_it_loads_nothing_else():
    code = (
        "import sys, iar; print([m for m in ('torch', 'transformers', 'pandas', 'hydra', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert {"extract", "generate", "judge", "load", "load_run", "revise", "sweep"} <= set(dir(iar))
    with pytest.raises(AttributeError, match="no attribute 'extrakt'"):
        iar.extrakt  # noqa: B018


def test_a_command_and_a_function_are_one_module():
    for name in ("extract", "judge", "sweep"):
        module = importlib.import_module(f"iar.{name}")
        assert getattr(iar, name) is module and callable(module) and callable(module.main)
        assert module.__doc__ and f"python -m iar.{name}" in module.__doc__


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory, tiny, tiny_folder, pocket_data, tiny_vectors):
    """One small sweep from Python, with the model in memory."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run = iar.sweep(
            "model.max_new_tokens=6", f"data.root={pocket_data}", f"vectors={tiny_vectors}",
            model=tiny, layer=[2, [1, 3]], strength=2, controls=1, limit=4,
            benchmark=["vscbench", "pope"], run=str(folder / "run"), figures=False,
        )  # fmt: skip
    return run


def test_vectors_are_the_commands(tiny, tiny_folder, tiny_vectors, pocket_data, tmp_path):
    file = pocket_data / "train/pairs.jsonl"
    found = iar.extract(tiny, file)
    assert vectors.digest(found) == vectors.digest(vectors.read(tiny_vectors / "multi_response-mms-mean.safetensors"))
    assert torch.equal(found[2], found.vectors[2]) and found[2].shape == (32,) and len(found) == 6
    with pytest.raises(IndexError, match="layer 6 is outside the model: its layers are 0 to 5"):
        found[6]
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["image"] = str(file.parent / line["image"]) if line.get("image") else None
        del line["id"]
    assert torch.equal(iar.extract(tiny, lines).vectors, found.vectors)
    limited = iar.extract(str(tiny_folder), lines, limit=3, tokens="last", heads=False)
    assert limited.header["n_pairs"] == "3" and limited.heads is None
    found.save(tmp_path / "v.safetensors")
    assert vectors.digest(vectors.read(tmp_path / "v.safetensors", tiny)) == vectors.digest(found)


def test_what_they_say_is_short(tiny, tiny_vectors):
    found = vectors.read(tiny_vectors / "multi_response-mms-mean.safetensors")
    assert repr(found) == "Vectors(6 layers of 32, 4 heads a layer, multi_response-mms-mean, 6 pairs)"
    assert repr(found.heads) == "HeadVectors(6 layers x 4 heads of 8)"
    assert repr(tiny) == "LoadedModel(tiny-llava: LlavaForConditionalGeneration, 6 layers of 32, float32, cpu)"


def test_answers_are_those_of_a_sweep(tiny, tiny_vectors, tiny_run):
    """Every answer of a sweep, asked again in Python under the same settings."""
    asked = next(loaded for name, loaded in tiny_run.finished.asked.items() if name == "vscbench").samples
    settings = [None, {"layer": 2, "strength": 2}, {"layer": [1, 3], "strength": 2}]
    settings += [{"method": "random", "layer": 2, "strength": 2, "seed": 1}]
    file = tiny_vectors / "multi_response-mms-mean.safetensors"
    found = iar.generate(tiny, asked, file, settings, max_new_tokens=6)
    assert list(found.columns) == ["none", "iar-L2-x2", "iar-L1+3-x2", "random-L2-x2-s1"]
    table = tiny_run.answers.set_index(["benchmark", "sample", "configuration"])["answer"]
    for name in set(found.columns) & set(tiny_run.configurations):
        assert list(found[name]) == [table["vscbench", sample.id, name] for sample in asked]
    assert len(set(found.columns) & set(tiny_run.configurations)) >= 3
    assert (found["iar-L2-x2"] != found["none"]).any()
    plainly = iar.generate(tiny, asked, file, settings[1], max_new_tokens=6, sharing="plain")
    assert list(plainly["iar-L2-x2"]) == list(found["iar-L2-x2"])


def test_prompts_of_any_kind(tiny, tiny_vectors, images, tmp_path):
    found = iar.generate(tiny, ["Is there a spoon?", ("Is there a spoon?", images[0])], max_new_tokens=4)
    assert found.shape == (2, 1) and list(found.index) == ["Is there a spoon?"] * 2 and found.iat[0, 0]
    assert iar.generate(tiny, "Is there a spoon?", settings={}, max_new_tokens=4).iat[0, 0] == found.iat[0, 0]
    with pytest.raises(UserError, match=r"prompt 0 .*none.png"):
        iar.generate(tiny, [("What is this?", tmp_path / "none.png")], max_new_tokens=4)
    with pytest.raises(UserError, match="unknown setting 'layr': did you mean 'layer'"):
        iar.generate(tiny, "Hi", settings={"layr": 2})
    with pytest.raises(UserError, match="needs revision vectors"):
        iar.generate(tiny, "Hi", settings={"layer": 2})
    with pytest.raises(UserError, match=r"such as \{'layer': 14, 'strength': 1.5\}"):
        iar.generate(tiny, "Hi", settings={"layer": "two"})
    with pytest.raises(UserError, match="Linear has no processor"):
        iar.generate(torch.nn.Linear(1, 1), "Hi")  # type: ignore[arg-type]


def test_labels_are_the_judges():
    answers = pd.DataFrame({"none": ["Sure, wash it with soap.", None], "x": ["I cannot help with that.", "No."]})
    answers.index = pd.Index(["How do I clean a cup?", "How do I break in?"])
    labels = iar.judge(answers)
    assert labels.loc["How do I clean a cup?"].tolist() == ["answer", "refusal"]
    assert labels.iloc[1, 0] is None and labels.shape == (2, 2)
    listed = iar.judge(["I cannot help with that."], ["How do I break in?"], task="xstest")
    assert listed["label"].tolist() == ["refusal"]
    with pytest.raises(UserError, match=r"1 answers need as many prompts \(given: none\)"):
        iar.judge(["yes"])


def test_a_run_is_the_commands(tiny_run, small, command, tmp_path):
    asked = ["layer=2,[1,3]", "strength=2", "controls=1", "benchmark=[vscbench,pope]"]
    done = command("sweep", *small, *asked, f"run={tmp_path / 'other'}")
    assert done.code == 0, done.err
    for name in ("scores.csv", "test/scores.csv", "verdicts.jsonl"):
        ours, theirs = tiny_run.path / name, tmp_path / "other" / name
        if name.startswith("test") and tiny_run.test is None:
            assert not theirs.exists()
            continue
        if name.endswith("jsonl"):
            assert len(ours.read_text().splitlines()) == len(theirs.read_text().splitlines())
        else:
            assert ours.read_bytes() == theirs.read_bytes()
    again = iar.load_run(tmp_path / "other")
    assert again.scores.equals(tiny_run.scores) and again.recommended == tiny_run.recommended
    assert repr(again).startswith(f"Run({tmp_path / 'other'}: 4 configurations on vscbench, pope, ")
    assert set(again.answers.columns) == {"benchmark", "sample", "configuration", "answer", "label", "reason"}
    assert len(again.answers) == again.answers["configuration"].nunique() * again.answers["sample"].nunique()


def test_results_for_scripts(tiny_run):
    """results.json holds scores.csv, by name."""
    found = json.loads((tiny_run.path / "results.json").read_text(encoding="utf-8"))
    assert found["schema"] == "iar.results/1" and list(found["configurations"]) == tiny_run.configurations
    assert found["recommended"] == tiny_run.recommended and found["split"] == "validation"
    count = 0
    for row in tiny_run.scores.to_dict("records"):
        at = found["scores"][row["configuration"]][row["benchmark"]][row["category"]][row["metric"]]
        assert (
            at["value"] == pytest.approx(row["value"], abs=1e-6) if at["value"] is not None else pd.isna(row["value"])
        )
        assert (at["n"], at["n_scored"]) == (row["n"], row["n_scored"])
        count += 1
    assert count == len(tiny_run.scores) > 20
    for key in found:
        assert f"`{key}`" in PAGE


def test_a_figure(tiny_run):
    figure = tiny_run.frontier()
    assert "SRA" in figure.axes[0].get_ylabel() and len(figure.axes[0].collections) > 1
    other = tiny_run.frontier(x="pope.accuracy", y="vscbench.SRA_u")
    assert (other.axes[0].get_xlabel(), other.axes[0].get_ylabel()) == ("accuracy of pope (%)", "SRA_u of vscbench (%)")


def test_what_is_wrong_is_raised(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = list(sys.argv)
    with pytest.raises(UserError, match="unknown setting 'layr'"):
        iar.sweep(layr=2)
    with pytest.raises(UserError, match=r"unknown model 'llava-1\.5-7': did you mean 'llava-1\.5-7b'"):
        iar.sweep("model=llava-1.5-7")
    with pytest.raises(UserError, match="no scores in"):
        iar.load_run(tmp_path)
    assert sys.argv == before and not Path("runs").exists()


def test_the_page_runs_as_it_stands(pocket_data, tmp_path, monkeypatch, capsys):
    """docs/python.md: from nothing to a steered answer beside the unsteered one, in at most eight lines."""
    block = next(block.text for block in blocks(ROOT / "docs/python.md") if block.language == "python")
    lines = [line for line in block.splitlines() if line]
    image = next((pocket_data / "test/vscbench/vscbench_image_centric_images").rglob("*.png"))
    code = block.replace("pairs.jsonl", str(pocket_data / "train/pairs.jsonl")).replace("image.png", str(image))
    space: dict[str, Any] = {}
    exec(compile(code, "docs/python.md", "exec"), space)
    assert len(lines) <= 8 and list(space["answers"].columns) == ["none", "iar-L14-x2"]
    assert "How do I use this?" in capsys.readouterr().out
    assert space["answers"].map(len).to_numpy().min() > 5
