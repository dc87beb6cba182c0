"""``iar check``: everything wrong at once before weights are loaded, then what it will take (faults E4, E5)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest


def test_what_a_sweep_will_take(small, command, tmp_path):
    done = command("check", *small, "layer=2", "controls=1", "measure=3")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "nothing is wrong: the same settings with iar.sweep start it"
    assert "dry run: tiny, validation split, 3 configurations" in done.err
    assert re.search(
        r"memory: the weights are 0\.\d\d GB on disk, computed in float32, \d+\.\d GB of memory are free", done.err
    )
    assert re.search(r"time: 3 answers measured; one configuration takes about \d+ s, all 3 at most \d+ s", done.err)
    assert re.search(r"disk: about 1 MB of [\d,]+ GB that are free", done.err)
    assert not (tmp_path / "runs").exists()


WRONG = ["layer=99", "data.pairs=nowhere.jsonl", "vectors=elsewhere", "method=fewshot+iar", "demonstrations=none.jsonl"]


def test_everything_that_is_wrong_at_once(small, command, tmp_path):
    settings = [setting for setting in small if not setting.startswith("vectors=")]
    done = command("check", *settings, *WRONG, "benchmark.pope.folder=gone")
    assert done.code == 1
    said = done.out.splitlines()
    assert [line[:3] for line in said] == ["1. ", "2. ", "3. ", "4. "], said
    assert said[0] == "1. layer 99 is outside the model 'tiny-llava': its layers are 0 to 5"
    assert "gone" in said[1] and said[2].startswith("3. no pairs file nowhere.jsonl: give pairs.path=FILE")
    assert "none.jsonl" in said[3]
    assert not list(tmp_path.iterdir())


def test_heads_budgets_and_gates_that_cannot_be_had(small, command, tmp_path):
    asked = [f"vectors={tmp_path}/none", "layer=2", "measure=0", "controls=0"]
    done = command("check", *small, *asked, "heads=1", "level=layer")
    assert done.out == "1. level=layer reads no heads, but heads=… needs them: remove one of the two\n"
    many = [part for part in asked if not part.startswith("layer=")]
    done = command("check", *small, *many, "layer=[2,3]", "heads=99")
    assert done.out == "1. heads=99 of model 'tiny-llava': layers 2, 3 have 8: take heads=8 or fewer\n"
    done = command("check", *small, *asked, "kl=0.1", "kl_prompts.paths=[]")
    assert done.out.startswith("1. kl=… needs benign prompts, and none are given") and done.out.count("\n") == 1
    done = command("check", *small, *asked, "method=gated", "gate_prompts.benign=[gone.jsonl]")
    assert done.out.startswith("1. gates need benign prompts, and gone.jsonl has none") and done.out.count("\n") == 1
    elsewhere = [*asked[1:], "vectors=hf://me/kind", "method=gated", "gate_prompts.benign=[gone.jsonl]"]
    done = command("check", *small, *elsewhere)  # gates come with these vectors
    assert done.out.startswith("nothing is wrong"), done.out
    done = command("check", *small, *asked, "method=calibrated", "release_if=refused")
    assert done.out.startswith("1. release_if=refused needs gates that know what the model refuses by itself: make")
    assert (done.code, list(tmp_path.iterdir())) == (1, [])


def test_a_sweep_looks_itself_before_it_loads_the_model(small, command, tmp_path, monkeypatch):
    from iar import models

    def load_from(settings: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(models, "load_from", load_from, raising=False)
    settings = [setting for setting in small if not setting.startswith("vectors=")]
    done = command("sweep", *settings, *WRONG[:3])
    assert done.code == 2 and done.err.count("\n") == 1
    assert done.err.startswith("error: 2 things are wrong: (1) layer 99 is outside the model 'tiny-llava'")
    assert "; (2) no pairs file nowhere.jsonl" in done.err
    done = command("evaluate", *small, "layer=99")
    assert done.err == "error: layer 99 is outside the model 'tiny-llava': its layers are 0 to 5\n"


@pytest.fixture
def torn(pocket_data, tmp_path) -> Path:
    """The data without half of POPE's pictures."""
    folder = shutil.copytree(pocket_data, tmp_path / "torn")
    pictures = [file for file in sorted((folder / "validation/pope").rglob("*")) if file.suffix in (".jpg", ".png")]
    for picture in pictures[::2]:
        picture.unlink()
    return folder


def test_missing_pictures_are_told_by_benchmark_with_their_share(small, command, torn):
    settings = [setting for setting in small if not setting.startswith(("data.root=", "limit="))]
    done = command("check", *settings, f"data.root={torn}", "layer=2", "measure=0", "benchmark=[pope,scienceqa]")
    assert done.code == 0, done.err
    (line,) = (line for line in done.err.splitlines() if "cannot be asked" in line)
    found = re.fullmatch(r"pope: (\d+) of (\d+) \((\d+) %\) cannot be asked, first .*: missing image: .*", line)
    assert found and round(100 * int(found[1]) / int(found[2])) == int(found[3]) > 0
    done = command("sweep", *settings, f"data.root={torn}", "layer=2", "missing=stop", "benchmark=pope")
    assert done.code == 2 and f"pope: {found[1]} of {found[2]} ({found[3]} %) cannot be asked, first" in done.err
    assert "with missing=score they count as unscored" in done.err and not Path("runs").exists()


def test_a_folder_with_nothing_but_a_gguf_file_needs_no_config(small, command, tmp_path):
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(b"GGUF")
    settings = [setting for setting in small if not setting.startswith("model")]
    model = ["model=folder", "model.name=packed", f"model.path={folder}"]
    assert command("check", *settings, *model, "layer=2", "measure=0").out.startswith(
        f"1. no config.json in {folder}: model.gguf=tiny.gguf takes its GGUF file\n"
    )
    done = command("check", *settings, *model, "model.gguf=tiny.gguf", "layer=2", "measure=0")
    assert "config.json" not in done.out and "reads no images" in done.out, done.err
