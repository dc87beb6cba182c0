from __future__ import annotations

import sys
from functools import partial

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import RunMode

from hydra_plugins import iar_grid
from hydra_plugins.iar_grid import GridLauncher
from iar import cli
from iar.cli.tasks import Command
from iar.pipeline.experiment.settings import Scoring, read
from iar.shipped import shipped


@pytest.fixture
def sweep(monkeypatch, tmp_path):
    """Gives a command line to iar.sweep's application with another command: sweep(command, *arguments) -> launches."""
    monkeypatch.chdir(tmp_path)
    launches: list[int] = []
    launch = GridLauncher.launch

    def counted(self, job_overrides, initial_job_idx):
        launches.append(len(job_overrides))
        return launch(self, job_overrides, initial_job_idx)

    def run(command, *arguments):
        monkeypatch.setattr(sys, "argv", ["iar.sweep", *arguments])
        cli.main("sweep", Command(command, partial(read, Scoring)))
        return launches

    monkeypatch.setattr("hydra_plugins.iar_grid.GridLauncher.launch", counted)
    return run


def test_hydra_finds_it():
    assert GridLauncher.__name__ in {plugin.__name__ for plugin in Plugins.instance().discover(Launcher)}


def test_a_grid_is_one_launch_and_one_call(sweep, tmp_path):
    calls = []
    launches = sweep(calls.append, "layer=9,24", "strength=range(0.5,3,0.25)", "limit=8")
    assert launches == [20] and len(calls) == 1
    assert [(job.layer, job.strength, job.limit) for job in calls[0]] == [
        (layer, 0.5 + step / 4, 8) for layer in (9, 24) for step in range(10)
    ]
    assert all(job.benchmark["pope"].folder == "pope" for job in calls[0])
    assert list(tmp_path.iterdir()) == []  # nothing of Hydra's is left


def test_a_job_is_composed_once(monkeypatch):
    with initialize_config_dir(str(shipped("conf")), version_base=None):
        loader = GlobalHydra.instance().config_loader()
    master = loader.load_configuration("sweep", ["layer=9,24", "strength=2"], RunMode.MULTIRUN)
    jobs = [[f"layer={layer}", "strength=2"] for layer in (9, 24)]
    expected = [loader.load_sweep_config(master, job) for job in jobs]
    iar_grid._compose_once(loader)
    found = [loader.load_sweep_config(master, job) for job in jobs]  # to see that it can
    monkeypatch.setattr(loader, "load_configuration", None)
    assert [loader.load_sweep_config(master, job) for job in jobs] == found == expected  # to launch it


def test_batches_of_a_sweeper_grow_into_one_another(sweep):
    calls = []
    launches = sweep(
        lambda jobs: calls.append([job.layer for job in jobs]), "layer=1,2,3", "hydra.sweeper.max_batch_size=2"
    )
    assert launches == [2, 1] and calls == [[1, 2], [1, 2, 3]]


def test_what_the_command_raises_ends_the_launch(sweep, capsys):
    def broken(jobs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sweep(broken, "layer=1,2")
    with pytest.raises(SystemExit):
        sweep(broken, "layer=1,2", "batch_size=0")
    assert capsys.readouterr().err.startswith("error: batch_size=0 must be a whole number")
