"""Bad input: exit code 2 and one line on stderr that names the thing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from iar import cli
from iar.cli import command as door
from iar.cli.tasks import Command
from iar.pipeline.experiment.plan import plan
from iar.pipeline.experiment.settings import Scoring, read
from iar.shipped import shipped

ROOT = Path(__file__).resolve().parents[3]


def main(run) -> None:
    cli.main("sweep", Command(run, partial(read, Scoring)))


def refused(done, *parts: object) -> None:
    assert done.code == 2, done.err
    assert done.out == ""
    assert done.err.count("\n") == 1 and done.err.startswith("error: "), done.err
    for part in parts:
        assert str(part) in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=poket"], "unknown model 'poket': did you mean 'pocket'? (one of: "),
        (["benchmark=vscbech"], "unknown benchmark 'vscbech': did you mean 'vscbench'?"),
        (["benchmark=pope,scienceq"], "unknown benchmark 'scienceq': did you mean 'scienceqa'?"),
        (["data=foldr"], "unknown data 'foldr': did you mean 'folder'?"),
        (
            ["method=iarr"],
            "unknown method 'iarr': did you mean 'iar'? (one of: ablation, adaptive, addition, calibrated, ",
        ),
        (["strenght=2"], "unknown setting 'strenght': did you mean 'strength'?"),
        (["model.pth=x"], "unknown setting 'model.pth'"),
        (["layer"], "cannot read setting 'layer'"),
        (["layer=[1"], "cannot read setting 'layer=[1'"),
        (["recipe=papr"], "unknown recipe 'papr': did you mean 'paper'?"),
        (["layer=14.5"], "layer=14.5 must be a whole number or a list"),
        (["batch_size=0"], "batch_size=0 must be a whole number from 1"),
        (["model.path=nowhere"], "no model folder nowhere: give model.path=DIR"),
        (["split=vallidation"], "unknown split 'vallidation': did you mean 'validation'?"),
        (["layer=6"], "layer 6 is outside the model 'tiny-llava': its layers are 0 to 5"),
        (["layer=1,-1"], "layer -1 is outside the model"),
        (["model.dtype=flaot16"], "unknown dtype 'flaot16'"),
    ],
)
def test_settings(small, command, arguments, message):
    refused(command("sweep", *small, *arguments), message)


def test_a_folder_given_as_a_name_is_told_its_setting(command, tmp_path):
    (tmp_path / "my-own").mkdir()
    refused(
        command("sweep", "model=my-own"), "unknown model 'my-own': one of: ", "; for that folder: model.path=my-own"
    )
    refused(
        command("sweep", "data=my-own"),
        "unknown data 'my-own': one of: ",
        "; for that folder: data=folder data.root=my-own",
    )
    assert "for that folder" not in command("sweep", "judge=my-own").err


def test_a_missing_data_folder_says_what_to_download_and_where_to(small, command, tmp_path):
    settings = [a for a in small if not a.startswith("data.")]
    done = command("evaluate", *settings, "data=folder", f"data.root={tmp_path / 'real'}", "benchmark=pope")
    refused(done, tmp_path / "real/pope/coco_pope_random.json", "download", "https://github.com/RUCAIBox/POPE")
    refused(command("evaluate", *settings, "data=folder"), "data=folder needs its folder: data.root=DIR")


def test_a_foreign_folder_is_not_overwritten(small, command, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    refused(command("sweep", *small, "data.root=mine"), "mine is not empty and not pocket data")
    refused(command("sweep", *small, "data.root=mine/thesis.tex"), "mine/thesis.tex")


def test_vector_files_that_must_not_be_used(small, command, tmp_path, tiny_vectors, save_tiny_llava):
    folder = shutil.copytree(tiny_vectors, tmp_path / "v")
    settings = [*small, f"vectors={folder}", "layer=2", "benchmark=pope", "run=r"]
    path = folder / "multi_response-mms-mean.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(command("evaluate", *settings), path, "is truncated", "make it again with iar.extract")
    tensors = load_file(tiny_vectors / path.name)
    tensors["layer.3"][5] = float("nan")
    with safe_open(tiny_vectors / path.name, "pt") as file:
        save_file(tensors, path, file.metadata())
    refused(command("evaluate", *settings), path, "layer.3 holds NaN or infinity")
    path.write_bytes(whole)
    other = save_tiny_llava(tmp_path / "other-llava", seed=4)
    done = command("evaluate", *settings, f"model.path={other}")
    refused(done, path, "was made with model 'tiny-llava'", "not with this 'other-llava'")
    wide = save_tiny_llava(tmp_path / "wide-llava", hidden=64)
    done = command("evaluate", *settings, f"model.path={wide}")
    refused(done, path, "is for hidden size 32, model 'wide-llava' has 64")
    assert not (tmp_path / "r").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_write_permission(small, command, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    refused(command("evaluate", *small, "method=none", "run=locked/r"), "locked/r", "Permission denied")


def test_a_run_folder_that_is_a_file(small, command, tmp_path):
    (tmp_path / "r").write_text("")
    refused(command("evaluate", *small, "method=none", "run=r"), "cannot write the run folder r")


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    """As ``| head`` is one; here it is gone before the first line."""
    for arguments in (["iar.analyze", "--help"], ["iar.sweep", "--help"]):
        read, write = os.pipe()
        os.close(read)
        process = [sys.executable, "-m", *arguments]
        done = subprocess.run(process, stdout=write, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
        os.close(write)
        assert (done.returncode, done.stderr) == (141, ""), done.stderr


def test_operating_system_errors_are_one_line(capsys):
    for error, line in (
        (PermissionError(13, "Permission denied", "x/y"), "error: no permission to write x/y: choose another place"),
        (OSError(5, "Input/output error", "x/y"), "error: x/y: Input/output error"),
        (BrokenPipeError(32, "Broken pipe"), "error: Broken pipe"),  # of a worker, say: not that of the output
        (OSError(28, "No space left on device"), "error: No space left on device: make room; what is done is kept"),
    ):
        with pytest.raises(SystemExit) as end, cli.reported():
            raise error
        assert end.value.code == 2 and capsys.readouterr().err.startswith(line)
    with pytest.raises(SystemExit) as end, cli.reported():
        raise KeyboardInterrupt
    assert end.value.code == 130 and "the same command goes on from here" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError), cli.reported():  # a bug stays a traceback
        raise ZeroDivisionError


def test_a_recipe_stands_for_its_settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    strengths = (1.0, 1.5, 2.0, 2.5)
    raw = [(layer, "raw", s) for layer in (9, 13, 14, 15, 19, 24) for s in strengths]
    others = [(layer, scale, s) for layer in (13, 14, 15) for scale in ("unit", "sigma", "norm") for s in strengths]
    for arguments, expected in (
        (["recipe=paper"], [*raw, *others]),
        (["+recipe=paper", "layer=14"], [point for point in (*raw, *others) if point[0] == 14]),
    ):
        monkeypatch.setattr(sys, "argv", ["iar.sweep", *arguments])
        found: list[tuple[int, str, float]] = []
        main(lambda jobs, found=found: found.extend((job.layer, job.scale, job.strength) for job in jobs))
        assert sorted(found) == sorted(expected) and len(found) in (60, 16)
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_of_several_grids_is_their_union(monkeypatch, tmp_path):
    (tmp_path / "two.yaml").write_text(
        'controls: 0\ngrids:\n- {layer: "1,2", strength: 1}\n- {heads: 8, scale: sigma, controls: 2}\n'
    )
    monkeypatch.setattr(door, "shipped", lambda name: tmp_path if name == "sweeps" else shipped(name))
    monkeypatch.setattr(sys, "argv", ["iar.sweep", "recipe=two", "strength=3"])
    found: list[object] = []
    main(lambda jobs: found.extend((j.layer, j.heads, j.scale, j.strength, j.controls) for j in jobs))
    assert found == [(1, 0, "raw", 3, 0), (2, 0, "raw", 3, 0), (None, 8, "sigma", 3, 2)]


def test_the_shipped_recipes_make_plans(monkeypatch):
    for name, count in (("paper", 60), ("variants", 81)):
        monkeypatch.setattr(sys, "argv", ["iar.sweep", f"recipe={name}"])
        found: list[object] = []
        main(lambda jobs, found=found: found.append(plan(jobs)))
        real = [c for c in found[0].configurations if c.method == "iar"]
        assert len(real) == len({c.name for c in real}) == count


def test_an_unknown_setting_is_not_offered_itself(command):
    done = command("analyze", "layer=3")
    assert done.code == 2 and "unknown setting 'layer': did you mean 'layers'?" in done.err
    assert "override pairs" not in command("collect", "layer=3").err


@pytest.mark.parametrize("name", ["extract", "sweep", "evaluate", "collect", "analyze"])
def test_help_names_every_setting(command, name):
    done = command(name, "--help")
    assert done.code == 0 and f"python -m iar.{name}" in done.out
    for setting in ("vectors:", "batch_size:", "model:", "data:"):
        assert setting in done.out


def test_one_line_from_a_real_process(tmp_path):
    """What the user sees, with no traceback from Hydra around it."""
    done = subprocess.run(
        [sys.executable, "-m", "iar.sweep", "model=poket"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: unknown model 'poket': did you mean 'pocket'?")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--limit", "8"], "--limit 8: settings are KEY=VALUE, say limit=8"),
        (["--limit=8", "layer=2"], "--limit=8: settings are KEY=VALUE, say limit=8"),
        (["--max-new-tokens", "8"], "none is called max_new_tokens: did you mean"),
        (["--dry-run"], "--dry-run: settings are KEY=VALUE, say dry_run=VALUE"),
        (["--layr=9"], "none is called layr: did you mean 'layer'?"),
    ],
)
def test_options_are_told_how_settings_are_given(given, said, command):
    done = command("sweep", *given)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1
