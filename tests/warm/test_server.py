"""What tests take for Python does what Python does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "import os, sys; print(sys.argv, os.getcwd(), os.environ['WORD'], sys.stdin.read(), __name__); sys.exit(3)"


@pytest.mark.parametrize("how", ["code", "script", "module"])
def test_arguments_folder_environment_streams_and_status(warm_python: str, tmp_path: Path, how: str):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM + "\n")
    arguments = {"code": ["-c", PROGRAM], "script": [str(script)], "module": ["-m", "program"]}[how]
    done = [
        subprocess.run(
            [python, "-u", *arguments, "-x", "y"],
            cwd=tmp_path,
            env=os.environ | {"WORD": "a b"},
            input="said",
            capture_output=True,
            text=True,
        )
        for python in (warm_python, sys.executable)
    ]
    assert done[0].returncode == 3 and "a b said __main__" in done[0].stdout
    for name in ("returncode", "stdout", "stderr"):
        assert getattr(done[0], name) == getattr(done[1], name)


def test_an_error_and_signals(warm_python: str):
    done = subprocess.run([warm_python, "-c", "1 / 0"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.endswith("ZeroDivisionError: division by zero\n")
    asleep = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen([warm_python, "-c", asleep], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        fork = int(process.stdout.readline())
        process.send_signal(number)
        process.communicate()  # ends when the fork has
        assert process.returncode == -number
        with pytest.raises(ProcessLookupError):
            os.kill(fork, 0)
