"""What changed is asked again or refused: an answer is never another model's, vector's, question's or image's."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from iar.generation import Engine

SETTINGS = ["layer=2", "strength=1", "controls=0", "confirm=false", "figures=false", "benchmark=pope", "run=r"]
VECTORS = "multi_response-mms-mean.safetensors"


PLACE = [
    "model=pocket",
    "model.path=tiny-llava",
    "model.name=tiny",
    "model.max_new_tokens=6",
    "data.root=pocket",
    "vectors=vectors",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_folder, pocket_data, tiny_vectors) -> Path:
    """Copies of the tiny model, its data and its vectors beside two finished runs, with and without vectors."""
    from iar import sweep

    folder = tmp_path_factory.mktemp("made")
    for name, source in (("tiny-llava", tiny_folder), ("pocket", pocket_data), ("vectors", tiny_vectors)):
        shutil.copytree(source, folder / name)
    for more in (["run=steered"], ["method=none", "run=plain"]):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["iar.sweep", *PLACE, "limit=4", *SETTINGS, *more])
            sweep.main()
    return folder


@pytest.fixture
def place(made, tmp_path) -> list[str]:
    """A copy of all that, to be changed; settings that name it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return [*PLACE, "limit=4", *SETTINGS]


@pytest.fixture
def plain(place, tmp_path) -> list[str]:
    """The settings of the run in ``r``, which has only the baseline."""
    (tmp_path / "plain").rename(tmp_path / "r")
    return [*place, "method=none"]


@pytest.fixture
def steered(place, tmp_path) -> list[str]:
    """The settings of the run in ``r``, which has vectors."""
    (tmp_path / "steered").rename(tmp_path / "r")
    return place


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, str]]:
    """(sample, configuration) of every answer that the engine gives from now on."""
    found: list[tuple[str, str]] = []
    run = Engine.run

    def counted(self, *args, **options):
        for generation in run(self, *args, **options):
            found.append((generation.sample.id, generation.configuration.name))
            yield generation

    monkeypatch.setattr(Engine, "run", counted)
    return found


def images(folder: Path) -> list[Path]:
    """The images of the questions of a run, in the order of its answers."""
    from benchmark.pope import load

    samples = {sample.id: sample for sample in load(folder.parent / "pocket/validation/pope").samples}
    lines = map(json.loads, (folder / "generations.jsonl").read_text().splitlines())
    return [samples[line["sample"]].images[0] for line in lines]


def test_nothing_changed_and_wider(place, asked, command, tmp_path):
    settings = [setting for setting in place if setting != "run=r"]
    assert command("sweep", *settings, "strength=1.0,1.5").code == 0
    assert len(asked) == 3 * 4
    asked.clear()
    done = command("sweep", *settings, "strength=1.0,1.5,2.0")  # the same folder: it is not named after the grid
    assert done.code == 0, done.err
    assert {name for _, name in asked} == {"iar-L2-x2"} and len(asked) == 4
    assert len(list(tmp_path.glob("runs/sweep-*"))) == 1


def test_another_model_at_the_same_place(plain, command, tmp_path, save_tiny_llava):
    shutil.rmtree(tmp_path / "tiny-llava")
    save_tiny_llava(tmp_path / "tiny-llava", seed=9)
    done = command("sweep", *plain)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "error: r holds another run: model.digest:" in done.err and "Use another folder (run=OTHER)" in done.err


def test_another_vector_file_at_the_same_place(steered, command, tmp_path):
    before = (tmp_path / "r/generations.jsonl").read_bytes()
    with safe_open(tmp_path / "vectors" / VECTORS, "pt") as file:
        header = file.metadata()
    tensors = load_file(tmp_path / "vectors" / VECTORS)
    tensors["layer.2"] = -tensors["layer.2"]
    save_file(tensors, tmp_path / "vectors" / VECTORS, header)
    done = command("sweep", *steered)
    assert done.code == 2 and "r holds another run: vectors.multi_response-mms-mean:" in done.err
    assert (tmp_path / "r/generations.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "difference"),
    [
        (
            "benchmark.pope.protocol=llava-8910",
            'benchmarks.pope.protocol: "pope/official-9000@2" there, "pope/llava-8910@',
        ),
        ("model.max_new_tokens=5", "max_new_tokens: 6 there, 5 now"),
        ("model.dtype=bfloat16", 'model.dtype: "float32" there, "bfloat16" now'),
    ],
)
def test_another_protocol_length_or_dtype(plain, command, setting, difference):
    done = command("sweep", *plain, setting)
    assert done.code == 2 and "r holds another run:" in done.err and difference in done.err


def test_another_question_in_the_same_file(plain, command, tmp_path):
    for file in (tmp_path / "pocket/validation/pope").glob("*.json"):
        file.write_text(file.read_text().replace("Is there", "Can you see"))
    done = command("sweep", *plain)
    assert done.code == 2 and "r holds another run: benchmarks.pope.questions:" in done.err


def test_another_image_under_the_same_name_is_asked_again(steered, asked, command, tmp_path):
    seen = images(tmp_path / "r")
    with Image.open(seen[0]) as image:
        Image.new("RGB", image.size, "white").save(seen[0])
    done = command("sweep", *steered)
    assert done.code == 0, done.err
    assert len(asked) == seen.count(seen[0]) >= 2
    keys: dict[tuple[str, str], list[str]] = {}
    for record in map(json.loads, (tmp_path / "r/generations.jsonl").read_text().splitlines()):
        keys.setdefault((record["sample"], record["configuration"]), []).append(record["key"])
    assert {place: len(set(found)) for place, found in keys.items()} == {
        place: 2 if place in asked else 1 for place in keys
    }


def test_an_image_that_was_removed_leaves_its_question_unscored(place, asked, command, tmp_path):
    settings = [setting for setting in place if setting != "limit=4"]
    assert command("sweep", *settings).code == 0
    seen = images(tmp_path / "r")
    asked.clear()
    seen[0].unlink()
    done = command("sweep", *settings)
    assert done.code == 0, done.err
    assert (
        asked == [] and "pope: not asked, counted as unscored: missing image" in done.err and seen[0].name in done.err
    )
    scores = pd.read_csv(tmp_path / "r/scores.csv").set_index(["configuration", "category", "metric"])
    for name in ("none", "iar-L2-x1"):
        row = scores.loc[(name, "all", "accuracy")]
        assert (row["n"], row["n_scored"]) == (len(seen) / 2, (len(seen) - seen.count(seen[0])) / 2)
