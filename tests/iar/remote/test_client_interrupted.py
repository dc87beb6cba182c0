"""Killed and interrupted runs: what arrived is on disk, and only what is missing is sent again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.prompting import Turn
from iar.remote import Client, Endpoint, Request

Make = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]

RUN = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts in the background
from iar.cli import reported
from iar.prompting import Turn
from iar.remote import Client, Endpoint, Request
with reported():
    client = Client(Endpoint("test", sys.argv[1], "IAR_TEST_KEY", concurrency=4), cache=Path(sys.argv[2]))
    for index, reply in client.ask([Request((Turn("user", f"question {n}"),), 20) for n in range(60)]):
        print(index, reply.text, reply.cached, flush=True)
        if sys.argv[3] == "busy":
            time.sleep(60)
"""


@pytest.fixture
def start(warm_python: str) -> Callable[[Any, Path, str], subprocess.Popen[str]]:
    def run(server: Any, cache: Path, mode: str) -> subprocess.Popen[str]:
        command = [warm_python, "-c", RUN, server.url, str(cache), mode]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def cached(folder: Path) -> set[str]:
    return {json.loads(line)["key"] for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_only_what_is_missing_is_sent_again(
    chat_server: Make, start: Make, key: str, tmp_path: Path, end: signal.Signals
) -> None:
    ended = threading.Event()

    def answer(messages: list[dict[str, Any]]) -> str:
        text: str = messages[0]["content"]
        if int(text.split()[1]) >= 20:  # the process ends while these are in flight
            ended.wait(600)
        return text.upper()

    server = chat_server(answer)
    process = start(server, tmp_path, "read")
    until(lambda: len(server.calls) > 20 and len(cached(tmp_path)) >= 16)
    os.kill(process.pid, end)
    out, err = process.communicate(timeout=600)
    ended.set()

    assert process.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL)
    if end == signal.SIGINT:
        assert "interrupted" in err and "Traceback" not in err and "never awaited" not in err
    first, kept = len(server.calls), len(cached(tmp_path))
    shown = [line.split() for line in out.splitlines() if line.count(" ") == 3]
    assert len(shown) <= kept and first - 4 <= kept <= first < 60  # at most those in flight are lost

    process = start(server, tmp_path, "read")
    out, err = process.communicate(timeout=600)

    assert process.returncode == 0, err
    assert len(server.calls) - first == 60 - kept  # nothing that was kept is paid again
    lines = [line.split() for line in out.splitlines()]
    assert sorted((int(n), int(text)) for n, _, text, _ in lines) == [(n, n) for n in range(60)]
    assert sum(known == "True" for *_, known in lines) == kept
    assert len(cached(tmp_path)) == 60


def test_replies_that_arrive_while_the_caller_is_busy_are_kept(
    chat_server: Make, start: Make, key: str, tmp_path: Path
) -> None:
    server = chat_server()
    process = start(server, tmp_path, "busy")  # reads one reply and sleeps
    until(lambda: len(server.calls) == 60 and len(cached(tmp_path)) == 60)
    process.kill()
    out, _ = process.communicate(timeout=600)

    requests = [Request((Turn("user", f"question {n}"),), 20) for n in range(60)]
    client = Client(Endpoint("test", server.url, "IAR_TEST_KEY"), cache=tmp_path)
    assert len(out.splitlines()) == 1 and client.estimate(requests).cached == 60
