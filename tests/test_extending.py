"""Every example of docs/extending.md, run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

import benchmark
import iar
from benchmark.sample import Sample
from iar import vectors
from iar.errors import UserError
from iar.generation import Engine
from iar.models import LoadedModel
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import heat_map, sweep_table
from iar.revision import Configuration
from iar.revision.methods import METHODS
from iar.vectors import VectorSet
from tests.doc_commands import ROOT, blocks, commands, example_method, module_of
from tests.test_readme import run

PAGE = ROOT / "docs/extending.md"
TEXTS = {language: [b.text for b in blocks(PAGE) if b.language == language] for language in ("json", "python", "yaml")}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(tiny_folder: Path) -> list[str]:
    return [
        "model=pocket",
        f"model.path={tiny_folder}",
        "model.name=tiny",
        "model.max_new_tokens=6",
        "model.dtype=float32",
    ]


def told(start: str) -> list[str]:
    """The arguments of the page's command that begins so."""
    (found,) = (command for command in commands(PAGE) if command.startswith(start))
    parts = module_of(found)
    assert parts is not None
    return parts[1]


def write_pairs(here: Path) -> None:
    """Two pairs beside the questions, for the vectors of `data=folder`."""
    pairs = (
        {"id": n, "image": None, "prompt": f"{n}?", "safe": "I cannot help with that.", "unsafe": "Use it."}
        for n in "ab"
    )
    (here / "DIR/pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")


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
    write_pairs(here)
    done = run("iar.evaluate", [*told("python -m iar.evaluate method=none,iar"), *small, "layer=2", "run=r"])
    assert done.code == 0, done.said
    scores = pd.read_csv(here / "r/scores.csv")
    assert set(scores["protocol"]) == {"manifest@2"} and {"SRA_s", "SRA_u"} <= set(scores["metric"])
    assert set(scores["category"]) >= {"tools", "weapons"} and set(scores["configuration"]) == {"none", "iar-L2-x1.5"}


def put(here: Path, name: str, text: str, patch: pytest.MonkeyPatch) -> None:
    """A module of the page, as if it lay in the package of its name."""
    file = here / f"{name.rpartition('.')[2]}.py"
    file.write_text(text, encoding="utf-8")
    spec = spec_from_file_location(name, file)
    assert spec and spec.loader
    module = module_from_spec(spec)
    patch.setitem(sys.modules, name, module)  # first: its dataclasses look their module up
    spec.loader.exec_module(module)


@pytest.fixture
def colours(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's module as `benchmark.colours`, its line in the list, its settings in a folder of their own."""
    put(here, "benchmark.colours", TEXTS["python"][0], monkeypatch)
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
    write_pairs(here)
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
    asked = ["benchmark=colours", "data=folder", "data.root=DIR", "split=test", "run=r", search]
    done = run(
        "iar.sweep",
        [*asked, "method=iar", "layer=2", "strength=1", "controls=0", "confirm=false", "figures=false", *small],
    )
    assert done.code == 0, done.said
    finished = FinishedRun.scored(here / "r")
    assert set(finished.scores["protocol"]) == {"colours@1"} and "accuracy" in set(finished.scores["metric"])
    assert re.search(r"configuration\W+Colours\W", done.said)
    titles = sweep_table.markdown(finished.scores, finished.configurations).splitlines()[0]
    assert titles == "| configuration | Colours |"
    assert set(heat_map.cells(finished.scores, finished.configurations)[0]["panel"]) == {"Colours named"}
    assert set(pd.read_csv(here / "r/categories_colours.csv")["panel"]) == {"colour named"}


@pytest.fixture
def extracted(here: Path, small: list[str]) -> Path:
    """The pocket data of a few items, where the page's commands look for them."""
    from benchmark.pocket import layouts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(3, 4, 4, 8)))
        layouts.write(here / "data/pocket", seed=0, pairs=6)
    return here


def test_a_vector_of_ones_own(extracted: Path):
    assert run("iar.extract", ["pairs.limit=6"]).code == 0  # of the embedded model, into runs/vectors/pocket
    space: dict[str, object] = {}
    exec(compile(TEXTS["python"][1], PAGE.name, "exec"), space)
    made = vectors.read("runs/vectors/own/multi_response-mms-mean.safetensors")
    given = vectors.read("runs/vectors/pocket/multi_response-mms-mean.safetensors")
    along = made.vectors @ torch.nn.functional.normalize(given.vectors.mean(dim=0), dim=0)
    assert along.abs().max() < 1e-3 * given.vectors.norm(dim=1).max() and vectors.digest(made) != vectors.digest(given)
    arguments = told("python -m iar.sweep vectors=runs/vectors/own")
    few = ["benchmark=vscbench", "limit=4", "controls=0", "confirm=false", "figures=false", "model.max_new_tokens=6"]
    done = run("iar.sweep", [*arguments, *few, "run=r"])
    assert done.code == 0, done.said
    definition = json.loads((extracted / "r/definition.json").read_text())
    assert definition["vectors"] == {"multi_response-mms-mean": vectors.digest(made)}
    other = run("iar.sweep", ["layer=14,19", "strength=1,2", *few, "run=r"])
    assert other.code == 2 and "vectors" in other.said  # with the first vectors it is another run


@pytest.fixture
def same_length(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's module as `iar.revision.same_length`, and its row in the table."""
    put(here, "iar.revision.same_length", TEXTS["python"][2], monkeypatch)
    monkeypatch.setitem(METHODS, "same_length", example_method())


@pytest.fixture
def of_tiny() -> VectorSet:
    """Vectors of the tiny model, long enough to change its answers."""
    drawn = torch.randn(6, 32, generator=torch.Generator().manual_seed(3)) * 4
    return VectorSet(drawn, *[torch.ones(6)] * 4)


def test_a_method_of_ones_own_in_iar_revise(same_length: None, tiny: LoadedModel, of_tiny: VectorSet):
    """Each activation is turned towards h + s v and keeps its length, as that formula has it position by position."""
    ids = torch.tensor([[1, 10, 11, 12]])
    before = tiny.model(ids, output_hidden_states=True).hidden_states[3]
    with iar.revise(tiny, of_tiny, layers=[2], strength=1.5, method="same_length", positions="all"):
        after = tiny.model(ids, output_hidden_states=True).hidden_states[3]
    for old, new in zip(before[0].double(), after[0].double(), strict=True):
        moved = old + 1.5 * of_tiny.vectors[2].double()
        torch.testing.assert_close(new, moved * old.norm() / moved.norm(), atol=1e-5, rtol=1e-5)
        assert new.norm().item() == pytest.approx(old.norm().item(), rel=1e-5) and not torch.allclose(new, old)
    with pytest.raises(UserError, match="'same_length' takes scale=raw, not unit: its strength is a factor on the"):
        Configuration("same_length", (2,), 1.0, "unit")
    with pytest.raises(UserError, match="method 'same_length' works on whole layers: remove heads=4"):
        Configuration("same_length", heads=4)


def test_a_method_of_ones_own_shares_exactly(same_length: None, tiny: LoadedModel, of_tiny: VectorSet):
    asked = [Configuration(name, (2,), s) for name in ("same_length", "iar") for s in (1.0, 2.0)]
    samples = [Sample(str(i), "x", "x", text, (), "", str(i)) for i, text in enumerate(("Is there a fish?", "hello"))]
    answers = {}
    for sharing in ("auto", "plain"):
        engine = Engine(tiny, {asked[0].source: of_tiny}, sharing=sharing)
        found = engine.run(samples, [Configuration(), *asked], 8)
        answers[sharing] = {(g.sample.id, g.configuration.name): (g.answer, g.tokens, g.key, g.error) for g in found}
        assert engine.sharing == {"auto": "staged", "plain": "plain"}[sharing]
    assert answers["auto"] == answers["plain"] and len(answers["plain"]) == 10
    assert len({answer for answer, *_ in answers["plain"].values()}) >= 8


def test_a_method_of_ones_own_in_commands_and_tables(same_length: None, extracted: Path):
    few = ["limit=4", "controls=1", "confirm=false", "figures=false", "model.max_new_tokens=6"]
    done = run("iar.sweep", [*told("python -m iar.sweep method=iar,same_length"), *few, "pairs.limit=6", "run=r"])
    assert done.code == 0, done.said
    frontier = pd.read_csv(extracted / "r/frontier.csv", keep_default_na=False)
    assert list(zip(frontier["configuration"], frontier["method"], strict=True)) == [
        ("none", "none"),
        *((f"{name}-L14-x{strength}", name) for name in ("iar", "same_length") for strength in (1, 2)),
        *((f"random-L14-x{strength}-s1", "random") for strength in (1, 2)),
    ]
    volumes = pd.read_csv(extracted / "r/hypervolume.csv")
    assert "same_length, layer level" in set(volumes["group"])
    assert "| IAR, length kept | 2 |" in (extracted / "r/by_method.md").read_text(encoding="utf-8")


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
    few = ["benchmark=vscbench", "limit=4", "controls=0", "confirm=false", "figures=false", "model.max_new_tokens=6"]
    few.append("model.device=cpu")
    done = run("iar.sweep", [*told("python -m iar.sweep 'hydra.searchpath"), *few, "run=r"])
    assert done.code == 0, done.said
    assert json.loads((extracted / "r/definition.json").read_text())["model"]["id"] == "weights"
    assert (extracted / "runs/vectors/mine/multi_response-mms-mean.safetensors").is_file()


def test_a_bare_model(tiny_folder: Path):
    """Of transformers, without processor or folder."""
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
