"""Beside a real server: `transformers serve` with the pocket model, asked over HTTP, images included."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pandas as pd
import pytest

from iar.models.pocket import WEIGHTS
from iar.records import Log

START = 600  # seconds, at most: it imports torch and loads the weights
BENCHMARKS = "benchmark=[vscbench,scienceqa]"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, warm_python: str) -> Iterator[list[str]]:
    """The settings that ask the server; it ends with the tests of this file."""
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason="needs transformers' server: pip install 'iar[serve]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Float32: by default the server takes the dtype of the weights, float16, and near ties then end differently.
    arguments = ["serve", str(WEIGHTS), "--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1"]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [warm_python, "-m", "transformers.cli.transformers", *arguments, "--port", str(port)],
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, log)
            url = f"http://127.0.0.1:{port}/v1"
            yield ["model=endpoint", f"model.endpoint.base_url={url}", f"model.endpoint.model={WEIGHTS}"]
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start within {START} s:\n{log.read_text()[-2000:]}")


def _answers(run: Path) -> dict[tuple[str, str, str], dict]:
    return {(r["benchmark"], r["configuration"], r["sample"]): r for r in Log(run / "generations.jsonl").read()}


def test_the_served_model_answers_as_the_local_one_text_for_text(served, command, pocket_data, tmp_path):
    """The same weights, template, dtype and greedy decoding, so the same text under every method that only prompts."""
    methods = ["method=none,cot,prompt,fewshot", "reasoning_tokens=8"]
    shared = [BENCHMARKS, f"data.root={pocket_data}", *methods, "limit=2", "model.max_new_tokens=48"]
    local = command("evaluate", "model=pocket", *shared, "run=local")
    assert local.code == 0, local.err
    remote = command("evaluate", *served, *shared, "run=remote")
    assert remote.code == 0, remote.err
    here, there = _answers(tmp_path / "local"), _answers(tmp_path / "remote")
    assert here.keys() == there.keys() and len(here) == 2 * 4 * 2
    assert {key: r["error"] for key, r in there.items() if r["error"]} == {}
    assert {key: r["answer"] for key, r in there.items()} == {key: r["answer"] for key, r in here.items()}
    assert len({r["answer"] for r in here.values()}) > 6
    # It counts the end-of-turn token too, where the answer was not cut before it.
    more = [there[key]["tokens"] - here[key]["tokens"] for key in here]
    assert set(more) <= {0, 1} and more.count(1) > len(more) / 2
    scores = [pd.read_csv(tmp_path / run / "scores.csv").query("metric != 'tokens'") for run in ("local", "remote")]
    pd.testing.assert_frame_equal(*scores)
    asked = next(Log(file) for file in (tmp_path / "runs/cache").glob("*.jsonl"))
    assert len(asked.read()) == len({r["key"] for r in there.values()})
