from __future__ import annotations

import pandas as pd

from iar.generation import Engine


def test_the_baseline_needs_neither_vectors_nor_pairs(small, command, tmp_path, pocket_data):
    settings = [a for a in small if not a.startswith("vectors=")]
    done = command("evaluate", *settings, "method=none", "data.pairs=nowhere.jsonl", "run=r")
    assert done.code == 0, done.err
    assert done.out.split() == ["r/scores.csv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r"]
    assert set(pd.read_csv(tmp_path / "r/scores.csv")["configuration"]) == {"none"}


def test_the_default_folder_is_the_same_for_the_same_command(small, command, tmp_path, monkeypatch):
    first = command("evaluate", *small, "layer=2", "benchmark=pope")
    assert first.code == 0, first.err
    monkeypatch.setattr(Engine, "_generate", None)
    second = command("evaluate", *small, "layer=2", "benchmark=pope")
    assert second.code == 0 and second.out == first.out, second.err
    assert first.out.startswith("runs/evaluate-")
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_random_direction_of_a_seed(small, command, tmp_path):
    """The seed is the direction's; the data stay those of their own seed."""
    done = command("evaluate", *small, "method=random", "seed=3", "layer=2", "benchmark=pope", "run=r")
    assert done.code == 0, done.err
    assert set(pd.read_csv(tmp_path / "r/scores.csv")["configuration"]) == {"random-L2-x1.5-s3"}


def test_two_layers_at_once(small, command, tmp_path):
    done = command("evaluate", *small, "layer=[1,2]", "strength=1", "benchmark=scienceqa", "run=r")
    assert done.code == 0, done.err
    assert set(pd.read_csv(tmp_path / "r/scores.csv")["configuration"]) == {"iar-L1+2-x1"}


def test_several_configurations_are_a_sweep(small, command):
    done = command("evaluate", *small, "layer=1,2")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "layer=1,2" in done.err and "use iar.sweep for several values" in done.err
    done = command("evaluate", "-m", *small, "layer=1,2")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "iar.evaluate scores one configuration: use iar.sweep" in done.err
