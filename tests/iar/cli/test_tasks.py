"""Hydra's launchers and sweepers, each the real one, on the tiny model or on a command that needs none."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from iar import cli
from iar.cli import tasks
from iar.cli.command import PLUGINS
from iar.cli.tasks import Command, Done
from iar.pipeline.evaluation import single_job
from iar.pipeline.experiment.settings import Scoring, read

ROOT = Path(__file__).resolve().parents[3]
GRID = ["layer=2,3", "strength=1", "benchmark=[vscbench,pope]", "figures=false"]
NAMES = ["iar-L2-x1", "iar-L3-x1"]
TABLES = ("scores.csv", "differences.csv", "definition.json")


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "generations.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def one(tmp_path_factory, tiny_folder, pocket_data, tiny_vectors):
    """The grid in one pass: settings, its run folder (to be read only)."""
    model = ["model=pocket", f"model.path={tiny_folder}", "model.name=tiny", "model.max_new_tokens=6"]
    settings = [*model, f"data.root={pocket_data}", f"vectors={tiny_vectors}", "limit=4", *GRID]
    folder = tmp_path_factory.mktemp("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["iar.sweep", *settings, "controls=0", "confirm=false", "run=run"])
        from iar import sweep

        sweep.main()
    return settings, folder / "run"


def test_jobs_by_themselves_make_the_same_run(one, command, tmp_path):
    settings, whole = one
    done = command("sweep", *settings, "hydra/launcher=basic")
    assert done.code == 0, done.err
    (run,) = tmp_path.glob("runs/sweep-*")
    assert f"runs/{run.name}/scores.csv" in done.out.split()
    for name in TABLES:
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    parts = sorted((tmp_path / "runs/jobs").iterdir())
    assert [part.name[:-9] for part in parts] == NAMES
    for part, name in zip(parts, NAMES, strict=True):
        assert {record["configuration"] for record in records(part)} == {"none", name}
        assert not list(part.glob("test")) and not list(part.glob("*.html"))  # a page is of the whole
    assert {record["configuration"] for record in records(run)} == {"none", *NAMES}
    assert sorted(map(str, records(run))) == sorted(map(str, records(whole)))
    timed = pd.read_csv(run / "timings.csv").groupby("configuration")["answers"].sum()
    assert timed["none"] == 2 * 8 and set(timed[NAMES]) == {8}
    # The same command again adds nothing; in one pass it goes on in the same folder, with its controls.
    before = {file: file.read_bytes() for file in run.iterdir() if file.suffix == ".jsonl"}
    assert command("sweep", *settings, "hydra/launcher=basic").code == 0
    assert {file: file.read_bytes() for file in before} == before
    done = command("sweep", *settings, "controls=1", "confirm=false")
    assert done.code == 0, done.err
    assert len(records(run)) == 3 * 8 + 8


def test_submitit_on_this_machine_makes_the_same_run(one, command, tmp_path, monkeypatch, warm_python):
    """Each job a process of its own that submitit starts; its Slurm executor differs in who starts it."""
    settings, whole = one
    submitted = property(lambda executor: f"{warm_python} -u -m submitit.core._submit {executor.folder}")
    monkeypatch.setattr("submitit.local.local.LocalExecutor._submitit_command_str", submitted)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    done = command("sweep", *settings, "hydra/launcher=submitit_local", "run=run")
    assert done.code == 0, done.err
    for name in TABLES:
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()
    assert len(list((tmp_path / "run/jobs").iterdir())) == 2
    assert len(list((tmp_path / "runs/launched").glob("*/.submitit/*/*_result.pkl"))) == 2


def light(jobs):
    """A command that needs no model: its run folder holds who wrote it."""
    folder = Path(str(jobs[0].run).replace("{definition}", "0"))
    folder.mkdir(parents=True)  # would fail if two jobs of one configuration ran at once, or twice
    (folder / "process").write_text(str(os.getpid()))
    return Done(folder, [(0.5, 0.25)])


def run(monkeypatch, command, *arguments, gather=None):
    monkeypatch.setattr(sys, "argv", ["iar.sweep", *map(str, arguments)])
    cli.main("sweep", Command(command, partial(read, Scoring), lambda: single_job, gather))


def test_joblib_runs_each_job_in_a_process_and_keeps_their_order(monkeypatch, tmp_path, pocket_data):
    monkeypatch.chdir(tmp_path)
    gathered = []
    arguments = ["method=prompt", "reminder=standard,brief", f"data.root={pocket_data}", "run=r"]
    arguments += ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    run(monkeypatch, light, *arguments, gather=lambda jobs: gathered.extend(jobs) or tmp_path)
    assert [(job.reminder, folder, job.run) for job, folder in gathered] == [
        ("standard", "r/jobs/prompt-0", "r"),
        ("brief", "r/jobs/prompt-brief-0", "r"),
    ]
    assert str(os.getpid()) not in {(tmp_path / folder / "process").read_text() for _, folder in gathered}


def objective(x: float, y: float) -> tuple[float, float]:
    return 1 - abs(x - 14) / 24 - abs(y - 1.5) / 10, 1 - y / 3


def test_optuna_chooses_by_safety_and_helpfulness(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    calls: list[list[tuple[int, float]]] = []

    def command(jobs):
        calls.append([(job.layer, job.strength) for job in jobs])
        assert {(job.controls, job.confirm) for job in jobs} == {(0, False)}
        (tmp_path / "run").mkdir(exist_ok=True)
        return Done(tmp_path / "run", [objective(*point) for point in calls[-1]])

    run(monkeypatch, command, "recipe=optuna", "hydra.sweeper.n_trials=8")
    assert [len(call) for call in calls] == [4, 8]  # each pass with all points before: one run
    assert all(later[: len(call)] == call for call, later in pairwise(calls))
    assert {layer for layer, _ in calls[-1]} <= {9, 14, 19, 24}
    assert all(0.5 <= strength <= 3 and (4 * strength).is_integer() for _, strength in calls[-1])
    found = OmegaConf.load(tmp_path / "run/optimization_results.yaml").solutions
    front = [
        point for point in calls[-1] if not any(beats(objective(*other), objective(*point)) for other in calls[-1])
    ]
    assert {(p.params.layer, p.params.strength) for p in found} == set(front)
    assert all(tuple(p["values"]) == objective(p.params.layer, p.params.strength) for p in found)
    first = calls[-1]
    calls.clear()
    run(monkeypatch, command, "recipe=optuna", "hydra.sweeper.n_trials=8")
    assert calls[-1] == first  # so the same command goes on by what is recorded


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] >= other[1]


def test_optuna_on_the_model_and_without_safety(small, command, tmp_path):
    settings = [
        *small,
        "recipe=optuna",
        "layer=2,3",
        "strength=1,2",
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.n_jobs=1",
        "figures=false",
    ]
    done = command("sweep", *settings, "run=r", "hydra/launcher=basic")
    assert done.code == 0, done.err
    scores = pd.read_csv(tmp_path / "r/scores.csv").set_index(["configuration", "benchmark", "category", "metric"])[
        "value"
    ]
    for solution in OmegaConf.load(tmp_path / "r/optimization_results.yaml").solutions:
        name = f"iar-L{solution.params.layer}-x{solution.params.strength:g}"
        safety, helpfulness = scores[name, "vscbench", "all", "SRA_a"], scores[name, "mean", "all", "helpfulness"]
        assert list(solution["values"]) == pytest.approx([safety, helpfulness])
    done = command("sweep", *settings, "run=s", "benchmark=pope")
    assert (done.code, done.err.count("error:")) == (2, 1)
    assert "hydra/sweeper=optuna needs safety and helpfulness of every point, and s has not both" in done.err


def test_a_job_that_fails_is_one_line_and_the_others_are_done(small, command, tmp_path):
    done = command(
        "evaluate", *small, "method=prompt", "reminder=brief", "benchmark=pope,xstesst", "hydra/launcher=basic"
    )
    assert done.code == 2 and "error: unknown benchmark 'xstesst'" in done.err
    done = command("sweep", *small, "layer=99,2", "benchmark=pope", "run=r", "hydra/launcher=basic")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("error: layer 99 is outside the model")
    assert [part.name[:-9] for part in (tmp_path / "r/jobs").iterdir()] == ["iar-L2-x1.5"]
    assert not (tmp_path / "r/scores.csv").exists()


def test_what_is_not_there_is_said(command, monkeypatch):
    done = command("sweep", "hydra/launcher=gird")
    assert done.code == 2 and done.err.startswith("error: unknown hydra/launcher 'gird': did you mean 'grid'?")
    monkeypatch.setitem(PLUGINS, "hydra/launcher/gird", "hydra-gird-launcher")
    done = command("sweep", "hydra/launcher=gird")
    assert done.err == "error: hydra/launcher/gird needs a plugin of Hydra's: pip install hydra-gird-launcher\n"
    done = command("sweep", "recipe=variants", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1")
    assert (
        done.code == 2 and "hydra/sweeper=optuna chooses the points itself: leave out a recipe with grids" in done.err
    )


def test_a_broken_job_of_submitit_is_one_line(capsys):
    from submitit.core.utils import UncompletedJobError

    with pytest.raises(SystemExit) as end, cli.reported():
        raise UncompletedJobError("Job 7 (task: 0) has not produced any output\n  (state: OUT_OF_MEMORY)\nmore")
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "error: a job broke off: Job 7 (task: 0) has not produced any output; (state: OUT_OF_MEMORY); "
        "the same command goes on from here\n"
    )


def test_slurm_is_configured_by_settings(command):
    done = command(
        "sweep", "--cfg", "hydra", "-p", "hydra.launcher", "hydra/launcher=slurm", "hydra.launcher.partition=gpu"
    )
    assert done.code == 0, done.err
    settings = OmegaConf.create(done.out.partition("\n")[2])
    assert settings._target_.endswith("SlurmLauncher")
    assert (settings.partition, settings.gpus_per_node, settings.max_num_timeout) == ("gpu", 1, 3)


def test_jobs_are_read_in_their_order(tmp_path):
    for number in (10, 9, 0):
        (tmp_path / str(number)).mkdir()
        OmegaConf.save({"settings": {"number": number}, "folder": "r"}, tmp_path / str(number) / tasks.JOB)
    assert [job.number for job, _ in tasks.left(tmp_path)] == [0, 9, 10]
    assert tasks.left(tmp_path / "nowhere") == []
