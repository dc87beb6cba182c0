"""SIGTERM ends a command as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from benchmark.stopping import Terminated, exit_code, stopping

COMMAND = """
import sys, time
from iar import cli
with cli.reported():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("kept", flush=True)
"""


def test_sigterm_is_raised_and_the_default_comes_back():
    with pytest.raises(Terminated) as raised, stopping():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert exit_code(raised.value) == 143 and exit_code(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_another_handler_and_another_thread_are_left_alone():
    met: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: met.append(number))
    try:
        with stopping():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert met == [signal.SIGTERM]
    thread = threading.Thread(target=lambda: stopping().__enter__())
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("sent", "code", "said"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_command_says_so_in_one_line_and_cleans_up(sent, code, said):
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        out, errors = process.communicate(timeout=600)
    assert process.returncode == code and out == "kept\n"
    assert errors == f"{said}; the same command goes on from here\n"
