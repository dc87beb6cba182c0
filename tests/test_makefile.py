"""The targets of the Makefile that are more than one command."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from iar.pipeline.experiment import plan, settings
from tests.doc_commands import ROOT, overrides

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
FILES = ("xstest/xstest_prompts.csv", "scienceqa/problems.json", "figstep/safebench.csv")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_real_says_how_to_fetch_each_missing_file(tmp_path: Path) -> None:
    done = make("real-data", f"DATA={tmp_path}", "PY=python")
    lines = [line for line in done.stderr.splitlines() if line.startswith("no ")]
    wanted = [(file, file.partition("/")[0]) for file in FILES]
    assert done.returncode == 2 and lines == [
        f"no {tmp_path}/{file}: python -m benchmark download {name} --to {tmp_path}/{name} --no-images"
        for file, name in wanted
    ]
    for file in FILES:
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).touch()
    assert make("real-data", f"DATA={tmp_path}").returncode == 0


def test_real_is_a_sweep_that_a_text_model_can_be_asked() -> None:
    text = re.sub(r"\\\n\s*", " ", make("-n", "real", "DATA=DIR", "REAL_RUN=RUN").stdout)
    (line,) = (line for line in text.splitlines() if " -m iar.sweep model=smollm2 " in line)
    jobs = [settings.read(settings.KINDS["sweep"], settings.compose("sweep", given)) for given in _jobs(line)]
    asked = plan.plan(jobs)
    assert asked.benchmarks == ("xstest", "scienceqa", "everyday")
    assert [asked.cfg.benchmark[name].protocol for name in asked.benchmarks] == [None, "text", "text"]
    assert (asked.cfg.model.name, asked.cfg.run, asked.cfg.data.root) == ("smollm2", "RUN", "DIR")
    assert {c.layers for c in asked.configurations if c.steered} == {(9,), (14,), (19,), (24,)}
    assert asked.cfg.pairs.path == "DIR/figstep/safebench.csv" and asked.cfg.model.dtype in ("float32", "bfloat16")


def _jobs(line: str) -> list[list[str]]:
    return overrides("sweep", shlex.split(line))
