"""The command is right if Hydra makes the same configurations of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from iar import cli
from iar.explorer import repeat
from iar.pipeline.evaluation import score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.experiment.plan import plan
from iar.pipeline.experiment.settings import Scoring, read
from iar.records import Run
from iar.revision.configuration import Configuration
from tests.iar.explorer import runs


def run(folder: Path, configurations: Sequence[Configuration]) -> FinishedRun:
    return FinishedRun(Run(folder, {}, True), configurations=configurations)


@pytest.mark.parametrize(
    "arguments",
    [
        ["layer=9,14", "strength=1,2.5", "limit=24", "benchmark=[pope]", "controls=0"],
        ["layer=[9,14],19", "strength=1", "positions=all", "scale=sigma", "split=test", "controls=1"],
        ["heads=24,48", "strength=10,15", "scale=sigma"],
        ["method=gated", "layer=19,24", "gate_layer=16", "strength=1,1.5", "threshold=0.4,0.6", "controls=1"],
        ["method=gated", "layer=[17,18]", "heads=4,8", "gate_layer=16", "scale=norm", "gate=soft", "controls=0"],
        ["method=cot,prompt,fewshot,iar", "shots=2", "layer=14", "reminder=balanced"],
        [
            "model=llava-1.5-7b",
            "data=folder",
            "data.root=/data/x y",
            "layer=9",
            "strength=1,2",
            "model.max_new_tokens=64",
        ],
        [
            "judge=gpt-4o-mini",
            "benchmark.pope.protocol=llava-8910",
            "method=prompt",
            "reminder='Be careful, and {question}'",
        ],
    ],
)
def test_the_command_makes_the_same_plan(monkeypatch, tmp_path, arguments):
    def planned(arguments):
        monkeypatch.setattr(sys, "argv", ["iar.sweep", *arguments])
        return plan(cli.jobs("sweep", partial(read, Scoring)))

    first = planned(arguments)
    score.write_configurations(tmp_path, first.cfg, first.configurations)
    commands = repeat.commands(run(tmp_path, first.configurations))
    found = set()
    for command in commands:
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "iar.sweep"] and words[-1] == f"run={tmp_path}"
        again = planned(words[3:])
        found |= set(again.configurations)
        for name in ("model", "data", "benchmark", "judge", "split", "limit"):
            assert getattr(again.cfg, name) == getattr(first.cfg, name)
    assert found == set(first.configurations)


def test_a_grid_is_one_short_command(tmp_path, pocket_data):
    grid = [c for c in runs.CONFIGURATIONS if c.method != "random"]
    (tmp_path / "r").mkdir()
    score.write_configurations(tmp_path / "r", runs.settings("data/pocket"), grid)
    assert repeat.commands(run(tmp_path / "r", grid)) == [
        f"python -m iar.sweep layer=9,14 strength=1,2 controls=0 run={tmp_path}/r"
    ]
    ragged = [*grid, Configuration("iar", (19,), 4.0)]
    score.write_configurations(tmp_path / "r", runs.settings("data/pocket"), ragged)
    assert [c.partition(" controls")[0] for c in repeat.commands(run(tmp_path / "r", ragged))] == [
        "python -m iar.sweep layer=9,14 strength=1,2", "python -m iar.sweep layer=19 strength=4"
    ]  # fmt: skip
