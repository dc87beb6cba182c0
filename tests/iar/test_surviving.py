"""A sweep that is killed, or that finds no room, goes on where it stopped and ends with the same scores."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

GRID = ["layer=2,3", "strength=1", "controls=1", "batch_size=4", "figures=false"]
POINT = "iar-L3-x1"  # the one that is scored again on the test split
LOGS = ("generations", "verdicts")
PLACE = ("benchmark", "sample", "configuration")
PARTS = (".", "test")


class Ended(NamedTuple):
    status: int
    errors: str
    lines: int


Sweep = Callable[..., Ended]


# A random model has no point worth it, so the one to confirm is named; no file may grow beyond a limit once it answers.
PROGRAM = f"""
import resource, sys
from iar import sweep
from iar.pipeline.evaluation import confirm, generate

confirm.recommend = lambda *_: {POINT!r}
limit, ask = int(sys.argv.pop()), generate.ask

def limited(*args):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    ask(*args)

generate.ask = limited if limit else ask
sweep.main()
"""


@pytest.fixture(scope="module")
def sweep(warm_python, tiny_folder, pocket_data, tiny_vectors) -> Sweep:
    """Runs ``python -m iar.sweep`` on the tiny model in a process of its own.

    sweep("run", lines=7) kills it when the logs hold as many lines, or ``after`` that many seconds more. Returns its
    exit status, what it printed as errors, and the lines.
    """
    model = ["model=pocket", f"model.path={tiny_folder}", "model.name=tiny", "model.max_new_tokens=6"]
    small = [*model, f"data.root={pocket_data}", f"vectors={tiny_vectors}", "limit=4", *GRID]

    def run(folder: Path, *arguments: str, lines: int | None = None, after: float = 0, limit: int = 0) -> Ended:
        command = [warm_python, "-c", PROGRAM, *small, f"run={folder}", *arguments, str(limit)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            if lines is not None:
                while process.poll() is None and written(folder) < lines:
                    time.sleep(0.001)
                time.sleep(after)
                process.kill()
            _, errors = process.communicate()
        return Ended(process.returncode, errors, written(folder))

    return run


def written(folder: Path) -> int:
    logs = (folder / part / f"{name}.jsonl" for part in PARTS for name in LOGS)
    return sum(log.read_bytes().count(b"\n") for log in logs if log.exists())


@pytest.fixture(scope="module")
def whole(sweep, tmp_path_factory) -> Path:
    """The run of a sweep that nothing interrupts; to be read only."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = sweep(folder)
    assert done.status == 0, done.errors
    assert done.lines == 2 * (4 + 2) * 3 * 4  # answers and verdicts; two configurations on the test split
    return folder


def complete(folder: Path, whole: Path) -> None:
    """The scores are those of the sweep that was not interrupted, and no question was recorded twice."""
    for part in PARTS:
        assert (folder / part / "scores.csv").read_bytes() == (whole / part / "scores.csv").read_bytes()
        for name in LOGS:
            lines = (folder / part / f"{name}.jsonl").read_text().splitlines()
            places = [tuple(json.loads(line)[column] for column in PLACE) for line in lines]
            assert len(places) == len(set(places)) == len((whole / part / f"{name}.jsonl").read_text().splitlines())


def test_killed_at_any_moment_it_goes_on_and_ends_with_the_same_scores(sweep, whole, tmp_path):
    rng = random.Random(0)
    total = written(whole)
    killed, seen = 0, set()
    # While it starts, while answers and verdicts are written, while scores and figures are.
    moments = [
        (0, 0.3),
        *((lines, 0.01) for lines in sorted(rng.sample(range(1, total), 3))),
        (total, 0.5),
    ]
    for lines, at_most in moments:
        drawn = ["figures=true"] if lines == total else []
        done = sweep(tmp_path / "run", *drawn, lines=lines, after=rng.uniform(0, at_most))
        assert done.status in (-9, 0), done.errors
        killed += done.status == -9
        seen.add(done.lines)
    assert killed >= 4 and len(seen) >= 3
    done = sweep(tmp_path / "run")
    assert done.status == 0, done.errors
    complete(tmp_path / "run", whole)


def test_a_full_disk_is_one_line_and_keeps_what_was_done(sweep, whole, tmp_path):
    size = (whole / "generations.jsonl").stat().st_size
    done = sweep(tmp_path / "run", limit=size // 2)
    assert done.status == 2
    (error,) = [line for line in done.errors.splitlines() if "error" in line.lower()]
    assert (
        "generations.jsonl: File too large; make room; what is written is kept, and the same command goes on" in error
    )
    kept = (tmp_path / "run/generations.jsonl").read_bytes()
    assert kept.endswith(b"}\n") and size // 3 < len(kept) <= size // 2
    done = sweep(tmp_path / "run")
    assert done.status == 0, done.errors
    assert set(kept.splitlines()) < set((whole / "generations.jsonl").read_bytes().splitlines())
    assert (tmp_path / "run/generations.jsonl").read_bytes() == (whole / "generations.jsonl").read_bytes()
    complete(tmp_path / "run", whole)


def test_two_sweeps_in_one_folder_are_refused(sweep, whole, tmp_path):
    from iar.records.lock import lock

    run = shutil.copytree(whole, tmp_path / "run")
    held = lock(run)
    done = sweep(run, "strength=2")
    assert done.status == 2 and f"error: another process works in {run}: wait for it" in done.errors
    held.release()
    done = sweep(run)
    assert done.status == 0, done.errors
    complete(run, whole)


def test_a_finished_sweep_is_widened_by_what_is_new_alone(sweep, whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    before = (run / "generations.jsonl").read_text()
    done = sweep(run, "layer=2,3", "strength=1,1.5", "controls=0", "confirm=false")
    assert done.status == 0, done.errors
    after = (run / "generations.jsonl").read_text()
    assert set(before.splitlines()) < set(after.splitlines())
    new = [json.loads(line)["configuration"] for line in set(after.splitlines()) - set(before.splitlines())]
    assert sorted(new) == sorted(12 * ["iar-L2-x1.5"] + 12 * ["iar-L3-x1.5"])
    names = [f"iar-L{layer}-x{strength}" for layer in (2, 3) for strength in ("1", "1.5")]
    assert list(pd.read_csv(run / "scores.csv")["configuration"].unique()) == ["none", *names]
