"""Every example of docs/extending.md, run."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import benchmark
from benchmark.sample import Sample
from tests.doc_commands import ROOT, blocks, commands, module_of
from tests.test_readme import run

PAGE = ROOT / "docs/extending.md"
TEXTS = {language: [b.text for b in blocks(PAGE) if b.language == language] for language in ("json", "python", "yaml")}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(tiny_folder: Path) -> list[str]:
    return [f"model.path={tiny_folder}", "model.name=tiny", "model.max_new_tokens=6", "model.dtype=float32"]


def told(start: str) -> list[str]:
    """The arguments of the page's command that begins so."""
    (found,) = (command for command in commands(PAGE) if command.startswith(start))
    parts = module_of(found)
    assert parts is not None
    return parts[1]


def test_a_manifest_is_a_benchmark(here: Path, small: list[str]):
    (here / "DIR/manifest").mkdir(parents=True)
    lines = TEXTS["json"][0].splitlines()
    more = [
        json.dumps(json.loads(line) | {"id": f"{json.loads(line)['id']}-{n}", "cluster": str(n)})
        for line in lines
        for n in range(9)
    ]
    (here / "DIR/manifest/manifest.jsonl").write_text("\n".join(more) + "\n", encoding="utf-8")
    Image.new("RGB", (8, 8)).save(here / "DIR/manifest/a.png")
    pairs = (
        {"id": n, "image": None, "prompt": f"{n}?", "safe": "I cannot help with that.", "unsafe": "Use it."}
        for n in "ab"
    )
    (here / "DIR/pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    done = run("iar.evaluate", [*told("python -m iar.evaluate method=none,iar"), *small, "layer=2", "run=r"])
    assert done.code == 0, done.said
    scores = pd.read_csv(here / "r/scores.csv")
    assert set(scores["protocol"]) == {"manifest@2"} and {"SRA_s", "SRA_u"} <= set(scores["metric"])
    assert set(scores["category"]) >= {"tools", "weapons"} and set(scores["configuration"]) == {"none", "iar-L2-x1.5"}


@pytest.fixture
def colours(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's module as `benchmark.colours`, its line in the list, its settings in a folder of their own."""
    file = here / "colours.py"
    file.write_text(TEXTS["python"][0], encoding="utf-8")
    spec = spec_from_file_location("benchmark.colours", file)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "benchmark.colours", module)
    assert '`"colours": ("default",)`' in PAGE.read_text(encoding="utf-8")
    monkeypatch.setitem(benchmark._PRESETS, "colours", ("default",))
    settings = TEXTS["yaml"][0]
    assert settings.startswith("# conf/benchmark/colours.yaml\n")
    (here / "conf/benchmark").mkdir(parents=True)
    (here / "conf/benchmark/colours.yaml").write_text(settings, encoding="utf-8")
    folder = here / "DIR/colours"
    folder.mkdir(parents=True)
    questions = [f"{n}\tWhich colour is number {n}?\t{colour}" for n, colour in enumerate(("red", "blue") * 6)]
    (folder / "colours.txt").write_text("\n".join(questions) + "\n", encoding="utf-8")
    yield


def test_a_benchmark_with_its_own_counting(colours: None, here: Path, small: list[str]):
    protocol = benchmark.protocol("colours")
    samples = protocol.load(here / "DIR/colours", "test").samples
    assert len(samples) == 12 and isinstance(samples[0], Sample) and protocol.parse is not None
    assert protocol.parse("It is Red", samples[0]) == "named" and protocol.parse("It is blue", samples[0]) is None
    listed = run("benchmark", ["ls"])
    assert listed.code == 0 and "colours@1" in listed.said
    checked = run("benchmark", ["validate", "colours", "--data", "DIR/colours"])
    assert checked.code == 0, checked.said
    answers = [{"id": str(n), "answer": "red"} for n in range(12)]
    (here / "answers.jsonl").write_text("".join(json.dumps(a) + "\n" for a in answers), encoding="utf-8")
    given = ["score", "colours", "--data", "DIR/colours", "--answers", "answers.jsonl", "--csv", "scored.csv"]
    scored = run("benchmark", given)
    assert scored.code == 0, scored.said
    table = pd.read_csv(here / "scored.csv")
    assert table[(table["metric"] == "accuracy") & (table["category"] == "all")]["value"].tolist() == [0.5]
    search = f"hydra.searchpath=[file://{here / 'conf'}]"
    asked = ["method=none", "benchmark=colours", "data=folder", "data.root=DIR", "run=r", search]
    done = run("iar.evaluate", [*asked, *small])
    assert done.code == 0, done.said
    scores = pd.read_csv(here / "r/scores.csv")
    assert set(scores["protocol"]) == {"colours@1"} and "accuracy" in set(scores["metric"])


@pytest.fixture
def extracted(here: Path, small: list[str]) -> Path:
    """The pocket data of a few items, where the page's commands look for them."""
    from benchmark.pocket import layouts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(3, 4, 4, 8)))
        layouts.write(here / "data/pocket", seed=0, pairs=6)
    return here


def test_a_vector_of_ones_own(extracted: Path):
    import torch

    from iar import vectors

    assert run("iar.extract", ["pairs.limit=6"]).code == 0  # of the embedded model, into runs/vectors/pocket
    space: dict[str, object] = {}
    exec(compile(TEXTS["python"][1], PAGE.name, "exec"), space)
    made = vectors.read("runs/vectors/own/multi_response-mms-mean.safetensors")
    given = vectors.read("runs/vectors/pocket/multi_response-mms-mean.safetensors")
    along = made.vectors @ torch.nn.functional.normalize(given.vectors[9], dim=0)
    assert along.abs().max() < 1e-3 * given.vectors[9].norm() and vectors.digest(made) != vectors.digest(given)
    arguments = told("python -m iar.sweep vectors=runs/vectors/own")
    few = ["benchmark=vscbench", "limit=4", "controls=0", "confirm=false", "model.max_new_tokens=6"]
    done = run("iar.sweep", [*arguments, *few, "run=r"])
    assert done.code == 0, done.said
    definition = json.loads((extracted / "r/definition.json").read_text())
    assert definition["vectors"] == {"multi_response-mms-mean": vectors.digest(made)}
    other = run("iar.sweep", ["layer=14,19", "strength=1,2", *few, "run=r"])
    assert other.code == 2 and "vectors" in other.said  # with the first vectors it is another run


def test_a_wording_is_a_setting(extracted: Path, small: list[str]):
    arguments = told("python -m iar.evaluate method=prompt")
    done = run("iar.evaluate", [*arguments, *small, "benchmark=vscbench", "limit=4", "run=r"])
    assert done.code == 0, done.said
    configurations = pd.read_csv(extracted / "r/scores.csv")["configuration"].unique()
    assert configurations[0] == "none" and configurations[1].startswith("prompt-")


def test_a_model_under_a_name_of_its_own(extracted: Path, tiny_folder: Path):
    text = TEXTS["yaml"][1]
    assert text.startswith("# MINE/model/mine.yaml\n")
    (extracted / "MINE/model").mkdir(parents=True)
    shutil.copytree(tiny_folder, extracted / "weights")
    (extracted / "MINE/model/mine.yaml").write_text(text.replace("/models/mine", "weights"), encoding="utf-8")
    few = ["benchmark=vscbench", "limit=4", "controls=0", "confirm=false", "model.max_new_tokens=6", "model.device=cpu"]
    done = run("iar.sweep", [*told("python -m iar.sweep 'hydra.searchpath"), *few, "run=r"])
    assert done.code == 0, done.said
    assert json.loads((extracted / "r/definition.json").read_text())["model"]["id"] == "weights"
    assert (extracted / "runs/vectors/mine/multi_response-mms-mean.safetensors").is_file()


def test_a_bare_model(tiny_folder: Path):
    """Of transformers, without processor or folder."""
    import torch
    from transformers import AutoModelForImageTextToText

    import iar
    from iar.vectors import VectorSet

    model = AutoModelForImageTextToText.from_pretrained(tiny_folder)
    layers, width = 6, 32
    ones = torch.ones(layers)
    vector_set = VectorSet(torch.ones(layers, width), ones, ones, ones, ones)
    ids = torch.tensor([[1, 10, 11, 12]])
    with torch.no_grad():
        plain = model(ids).logits
        with iar.revise(model, vector_set, layers=[2]):
            steered = model(ids).logits
        after = model(ids).logits
    assert torch.equal(plain, after) and torch.equal(plain[:, :-1], steered[:, :-1])
    assert not torch.allclose(plain[:, -1], steered[:, -1])
