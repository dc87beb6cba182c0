from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.records import Run
from iar.records.lock import lock

HOLD = """
import sys
from iar.errors import UserError
from iar.records import Run
try:
    run = Run.open(sys.argv[1], {})
except UserError as error:
    sys.exit(str(error))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A real process that opens the run and keeps it open until its standard input is closed."""
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_process_is_refused_until_the_first_dies(tmp_path):
    with another(tmp_path) as first:
        assert said(first) == "held"
        with pytest.raises(UserError, match=r"another process works in .*: wait for it, or take another folder"):
            Run.open(tmp_path, {})
        with another(tmp_path) as second:
            _, error = second.communicate(timeout=600)
            assert second.returncode == 1 and error.startswith("another process works in") and error.count("\n") == 1
        Run.at(tmp_path)  # reading needs no lock
        os.kill(first.pid, signal.SIGKILL)
        assert first.wait(600) == -signal.SIGKILL
        assert Run.open(tmp_path, {}).resumed


def test_one_process_may_open_a_run_again_and_gives_it_free_with_its_last_object(tmp_path):
    first = Run.open(tmp_path, {})
    second = Run.open(tmp_path, {}).redefined(judge="j")
    assert lock(tmp_path) is lock(tmp_path / "x" / "..")
    del first
    gc.collect()
    with another(tmp_path) as process:
        assert process.wait(600) == 1  # the second still holds it
    del second
    gc.collect()
    (tmp_path / "definition.json").unlink()
    with another(tmp_path) as process:
        assert said(process) == "held"
