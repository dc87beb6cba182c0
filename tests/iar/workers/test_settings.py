"""The commands with workers of a real Ray, as `executor=ray` starts them."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from iar import vectors
from iar.errors import UserError
from iar.pairs import Example
from iar.pipeline.extraction import on_workers
from iar.workers.connection import connect

RAY = ["executor=ray", "executor.workers=2", "executor.shard=2"]
SWEEP = ["layer=2", "strength=1.5", "controls=1", "confirm=false", "figures=false"]
TABLES = ("scores.csv", "differences.csv", "frontier.csv", "definition.json")
VECTORS = "multi_response-mms-mean.safetensors"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def ray(warm_python: str) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # by Ray's own 15 every other process goes first
        patch.setattr(sys, "executable", warm_python)
        found = connect(None, 2)
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """A folder that outlives a test."""
    return tmp_path_factory.mktemp("shared")


def without(small: list[str], *names: str) -> list[str]:
    return [setting for setting in small if setting.split("=")[0] not in names]


def lines(run: Path) -> list[str]:
    return sorted((run / "generations.jsonl").read_text().splitlines())


def test_a_sweep_by_workers_is_that_of_one_process(small, command, shared, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    settings = [*without(small, "vectors"), f"vectors={shared}", *SWEEP]
    done = command("sweep", *settings, *RAY, f"run={shared / 'ray'}")
    assert done.code == 0, done.err
    assert done.out.split()[0] == str(shared / "ray/scores.csv") and len(done.out.split()) == 7
    shown = " ".join(done.err.split())
    assert f"no vectors multi_response-mms-mean in {shared}: extracting them first" in shown
    done = command("sweep", *settings, f"run={shared / 'one'}")  # with the vectors that the workers made
    assert done.code == 0, done.err
    for name in TABLES:
        assert (shared / "ray" / name).read_bytes() == (shared / "one" / name).read_bytes(), name
    assert lines(shared / "ray") == lines(shared / "one")
    assert len(set(lines(shared / "ray"))) == 3 * 3 * 4  # configurations, benchmarks, samples


def test_a_worker_makes_the_gates_that_a_method_needs_into_the_file_that_is_there(
    small, command, shared, tiny_vectors, monkeypatch
):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    there = shared / "there"
    there.mkdir()
    shutil.copy(tiny_vectors / VECTORS, there)
    settings = [*without(small, "vectors", "limit"), *RAY, "executor.workers=1", "limit=2", "benchmark=[vscbench]"]
    done = command("evaluate", *settings, "method=gated", "layer=2", f"vectors={there}", f"run={shared / 'gated'}")
    assert done.code == 0, done.err
    assert "no gates in multi_response-mms-mean of" in done.err and "no vectors" not in done.err
    found, bare = vectors.read(there / VECTORS), vectors.read(tiny_vectors / VECTORS)
    assert vectors.digest(found) == vectors.digest(bare) and found.gates is not None


def test_vectors_do_not_depend_on_the_number_of_workers_and_get_gates_where_asked(
    small, command, shared, tmp_path, tiny_vectors, monkeypatch
):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    settings = [*without(small, "vectors", "limit"), f"vectors={tmp_path}", "gates=true"]
    done = command("extract", *settings, *RAY, "executor.workers=1", "tokens=mean,last")
    assert done.code == 0, done.err
    assert done.out.split() == [
        str(tmp_path / f"multi_response-mms-{tokens}.safetensors") for tokens in ("mean", "last")
    ]
    for name in (VECTORS, VECTORS.replace("mean", "last")):
        found, one = vectors.read(tmp_path / name), vectors.read(tiny_vectors / name)
        assert {k: v for k, v in found.header.items() if k != "created"} == {
            k: v for k, v in one.header.items() if k != "created"
        }
        pairs = [(found.vectors, one.vectors), (found.heads.vectors, one.heads.vectors), (found.sigma, one.sigma)]
        for ours, theirs in pairs:
            assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
        assert torch.equal(found.accuracy, one.accuracy)
    found = vectors.read(tmp_path / VECTORS)
    vectors.write(tmp_path / "bare.safetensors", replace(found, gates=None))
    # Of two workers, in the sweep above.
    assert (tmp_path / "bare.safetensors").read_bytes() == (shared / VECTORS).read_bytes()
    gates, needed = found.gates, vectors.read(shared / "there" / VECTORS).gates
    assert gates is not None and torch.equal(gates.weight, needed.weight)
    report = {
        name for name in gates.header if name.startswith("gate_contrast")
    }  # of an extraction that is asked for gates
    assert report and {k: v for k, v in gates.header.items() if k not in report} == needed.header


def test_a_command_on_a_cluster_is_killed_and_goes_on_in_one_process(ray, small, command, tmp_path, warm_python):
    """It joins the Ray of this process; its workers go with it."""
    address = ray.get_runtime_context().gcs_address  # "auto" may be the Ray of tests that run beside these
    settings = [*without(small, "limit"), "limit=12", *SWEEP, f"run={tmp_path / 'killed'}"]
    joined = ["executor=ray", f"executor.address={address}", "executor.workers=1", "executor.shard=1"]
    log = tmp_path / "killed/generations.jsonl"
    gc.collect()  # the workers of earlier tests give their CPUs back
    deadline = time.monotonic() + 600
    driver = subprocess.Popen(
        [warm_python, "-m", "iar.sweep", *settings, *joined],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while (
        driver.poll() is None
        and time.monotonic() < deadline
        and not (log.exists() and log.read_bytes().count(b"\n") > 5)
    ):
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    out, err = driver.communicate()
    assert driver.returncode == -signal.SIGKILL, err.decode()
    assert (out, err.count(b"INFO"), err.count(b"raylet")) == (b"", 0, 0)
    before = log.read_bytes().count(b"\n")
    for run in ("killed", "whole"):
        done = command("sweep", *settings, f"run={tmp_path / run}")
        assert done.code == 0, done.err
    asked = [(r["benchmark"], r["sample"], r["configuration"]) for r in map(json.loads, lines(tmp_path / "killed"))]
    assert 5 < before < len(asked) == len(set(asked)) == len(lines(tmp_path / "whole"))
    for name in TABLES:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["executor=slurm"], "unknown executor 'slurm': one of: local, ray"),
        (["executor.kind=rya", *RAY], "unknown executor.kind 'rya': did you mean 'ray'?"),
        ([*RAY, "executor.workers=0"], "executor.workers=0 must be a whole number from 1 or null"),
        ([*RAY, "executor.shard=null"], "executor.shard=null must be a whole number from 1"),
        ([*RAY, "executor.gpus_per_worker=one"], "executor.gpus_per_worker=one must be a number from 0 or null"),
        ([*RAY, "executor.workers=3"], "Ray has 2 CPUs and 0 GPUs, a worker takes 1 CPUs and 0 GPUs: use executor"),
        ([*RAY, "model=gpt-4o", "method=cot"], "model gpt-4o runs at an endpoint, which is asked from here: leave"),
    ],
)
def test_wrong_settings_are_one_line(pocket_data, command, settings, message, tmp_path):
    done = command("evaluate", f"data.root={pocket_data}", "run=r", *settings)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert not (tmp_path / "r").exists()


def test_one_part_and_all_workers_exclude_each_other(small, command):
    done = command("extract", *without(small, "limit"), *RAY, "shard=0/2")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "shard=0/2 is one part of the work and executor=ray does all of it: leave one out" in done.err


def test_without_ray_one_line_names_the_way_out(small, command, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    for name, own in (("sweep", ["layer=3"]), ("extract", [])):
        done = command(name, *without(small, "limit"), *RAY, *own)
        assert (done.code, done.out) == (2, "")
        assert done.err == "error: executor=ray needs the ray package: pip install 'iar[ray]'\n"
    assert not list(tmp_path.iterdir())


def test_vectors_that_a_machine_does_not_see_are_refused(compose: Callable[..., object], tmp_path):
    cfg = compose("sweep", f"vectors={tmp_path}")
    (tmp_path / "there.safetensors").touch()
    on_workers.require(cfg, ["there"])
    with pytest.raises(UserError, match=r"finds no vectors .*gone\.safetensors: vectors=DIR must be a folder that all"):
        on_workers.require(cfg, ["there", "gone"])


def test_parts_of_pairs_have_both_sides_and_depend_on_the_pairs_alone():
    pairs = [[Example(str(i), True, f"s{i}"), Example(str(i), False, f"u{i}")] for i in range(7)]
    examples = [example for pair in pairs for example in pair]
    cut = on_workers.parts(examples, 2)
    assert [sorted({int(e.pair) for e in part}) for part in cut] == [[0, 3, 6], [1, 4], [2, 5]]
    assert on_workers.parts(examples, 1) == cut  # a vector needs two pairs, and so does a part
    assert on_workers.parts(examples, 8) == [examples]
    # Unpaired, the safe ones first: two parts would hold both sides, three would not.
    alone = [Example(str(i), i in (0, 3), str(i)) for i in range(6)]
    assert [{e.safe for e in part} for part in on_workers.parts(alone, 2)] == [{True, False}] * 2
