"""``python -m iar.watch``: a run that another process works at, seen from its folder alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from iar.pipeline.results.progress import Looking
from iar.records import Log

# Another process: it opens the run, answers as many questions as a line of its input says, and ends with its input.
WRITER = """
import sys
from iar.records import Run
run, number = Run.open("r", {"model": "m"}), 0
with run.log("generations") as log:
    for line in sys.stdin:
        for _ in range(int(line)):
            configuration = ("none", "iar-L2-x1")[number % 2]
            log.append({"benchmark": "pope", "sample": str(number // 2), "configuration": configuration,
                        "answer": "Yes", "error": "no image" if number == 3 else None, "key": "k"})
            number += 1
        print("done", flush=True)
"""


def asked(folder: Path, configurations: tuple[str, ...] = ("none", "iar-L2-x1"), questions: int = 4) -> None:
    folder.mkdir(exist_ok=True)
    content = {"configurations": configurations, "questions": {"pope": questions}}
    (folder / "asked.json").write_text(json.dumps(content), encoding="utf-8")


@contextmanager
def writer(answers: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin and process.stdout
    try:
        process.stdin.write(f"{answers}\n")
        assert process.stdout.readline() == "done\n"
        yield process
    finally:
        process.stdin.close()
        process.wait()


def test_it_follows_another_process_and_ends_with_it(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(tmp_path / "r")
    with writer(5) as process:
        before = sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "r").iterdir())
        found = (looking := Looking.at(Path("r"))).look()
        assert found.running and found.rate is None and (found.answers, found.total) == (5, 8)
        assert found.done == {"none": {"pope": 3}, "iar-L2-x1": {"pope": 2}} and found.failed["iar-L2-x1"] == 1
        once = command("watch", "r", "--once")
        assert once.code == 0 and "r: 5 of 8 answers (62 %), 0 verdicts\n" in once.out
        row = next(line for line in once.out.splitlines() if "iar-L2-x1" in line)
        assert [cell.strip() for cell in row.strip("│").split("│")] == ["iar-L2-x1", "2/4", "2", "1"]
        assert sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "r").iterdir()) == before

        looks = []

        def sleep(seconds: float) -> None:  # while watch waits: three more answers, then the end of the process
            looks.append(seconds)
            if len(looks) == 1:
                print(3, file=process.stdin)
                assert process.stdout and process.stdout.readline() == "done\n"
                assert (more := looking.look()).running and more.answers == 8 and more.rate and more.seconds_left == 0
            else:
                process.stdin.close() if process.stdin else None
                process.wait()

        monkeypatch.setattr(time, "sleep", sleep)
        done = command("watch", "r", "--every", 0.5)
    assert done.code == 0 and looks == [0.5, 0.5]
    assert "r: 8 of 8 answers (100 %), 0 verdicts" in done.err and "no process works in the folder" in done.err


def test_a_finished_run_with_its_scores(swept: Path, command: Callable[..., Any]) -> None:
    done = command("watch", "r", "--once")
    assert done.code == 0 and "36 of 36 answers (100 %), 36 verdicts" in done.out
    assert "SRA_s" in done.out and "POPE" in done.out and "4/4" in done.out


def test_a_folder_is_hostile_text(command: Callable[..., Any], tmp_path: Path) -> None:
    asked(tmp_path / "r", ("none", "\x1b[2J\x1b]0;owned\x07[red]"), 2)
    (tmp_path / "r/definition.json").write_text("{}")
    with Log(tmp_path / "r/generations.jsonl") as log:
        log.append({"benchmark": ["pope"], "sample": {}, "configuration": "none", "answer": 3})
        log.append({"benchmark": "pope", "sample": "0", "configuration": "\x1b[2J\x1b]0;owned\x07[red]"})
    (tmp_path / "r/scores.csv").write_text("configuration,benchmark\n=1,2\n")
    done = command("watch", "r", "--once")
    assert done.code == 0 and "\x1b" not in done.out + done.err
    assert "�[2J�]0;owned�[red]" in done.out
    assert "1 of 4 answers" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no run in nowhere"),
        (["r"], "r does not say what is asked (no asked.json)"),
        (["r", "--every", "0"], "--every 0 must be a number of seconds above 0"),
        (["broken"], "cannot read broken/asked.json"),
    ],
)
def test_bad_input_is_one_line(command: Callable[..., Any], tmp_path: Path, arguments: list[str], message: str) -> None:
    for name in ("r", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "definition.json").write_text("{}")
    (tmp_path / "broken/asked.json").write_text('{"configurations": 3}')
    done = command("watch", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1) and message in done.err
