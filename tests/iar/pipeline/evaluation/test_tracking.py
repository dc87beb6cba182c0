"""Trackers are told what scores.csv holds, in runs of their own, and nothing else; the real packages, offline."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.pipeline.evaluation import tracking
from iar.pipeline.evaluation.finished_run import FinishedRun
from tests.iar.explorer import runs

SECRET = "sk-0123456789-not-for-a-tracker"


@pytest.fixture(scope="module")
def run(pocket_data: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Two configurations, scored."""
    settings = runs.settings(pocket_data, "limit=4", "benchmark=vscbench")
    folder = tmp_path_factory.mktemp("tracked") / "r"
    return FinishedRun.scored(runs.write(folder, settings, configurations=runs.CONFIGURATIONS[:2]))


@pytest.fixture
def scored(run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FinishedRun:
    """The same in an empty working folder; no tracker is set up in the environment but for a key."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_KEY", "WANDB_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setattr(sys, "argv", ["iar.sweep", f"model.endpoint.key={SECRET}"])
    return run


def written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def expected(run: FinishedRun, name: str) -> dict[str, float]:
    rows = run.scores[run.scores["configuration"] == name].dropna(subset=["value"])
    return {f"{row.benchmark}.{row.category}.{row.metric}": row.value for row in rows.itertuples()}


def test_mlflow(scored: FinishedRun, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="pip install 'iar[mlflow]'")
    for _ in range(2):  # a resumed command writes to the same runs
        tracking.log("mlflow", scored)
    client = mlflow.MlflowClient()
    found = {
        one.info.run_name: one.data for one in client.search_runs([client.get_experiment_by_name("iar").experiment_id])
    }
    assert set(found) == {"r/none", "r/iar-L9-x1"}
    for name in ("none", "iar-L9-x1"):
        told = expected(scored, name)
        assert len(told) > 10 and found[f"r/{name}"].metrics == pytest.approx(told)
    steered = found["r/iar-L9-x1"].params
    assert (steered["model"], steered["method"], steered["strength"], steered["split"]) == (
        "tiny",
        "iar",
        "1.0",
        "validation",
    )
    text = written(tmp_path)
    assert b"vscbench.all.SRA_s" in text and SECRET.encode() not in text


def test_wandb_offline(scored: FinishedRun, tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="pip install 'iar[wandb]'")
    tracking.log("wandb", scored)
    folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    wanted = [name.encode() for name in ("r/none", "r/iar-L9-x1", *expected(scored, "none"))]
    for _ in range(600):  # its own process writes them, a moment after the run is finished
        text = written(tmp_path / "wandb")
        if all(name in text for name in wanted):
            break
        time.sleep(0.1)
    assert [name for name in wanted if name not in text] == []
    assert SECRET.encode() not in text


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_missing_package_is_one_line(tracker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, tracker, None)
    with pytest.raises(UserError, match=rf"tracker={tracker} needs its package: pip install 'iar\[{tracker}\]'"):
        tracking.check(tracker)


def test_a_bad_name_is_one_line(command: Callable[..., Any]) -> None:
    done = command("sweep", "tracker=mlfow", "layer=2")
    assert (done.code, done.out) == (2, "") and done.err.startswith(
        "error: unknown tracker 'mlfow': did you mean 'mlflow'?"
    )
    assert done.err.count("\n") == 1
