from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.speed import scoring
from benchmark.speed.figure import Asked
from benchmark.speed.registry import measure
from benchmark.speed.sizes import Size


def test_scoring(tiny: Size, monkeypatch: pytest.MonkeyPatch, pocket_data: Path) -> None:
    run: list[str] = []
    answers: list[bytes] = []

    def here(code: Path, folder: Path, module: str, *arguments: str) -> tuple[float, float]:
        """In this process: what a process of its own adds is time."""
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        importlib.import_module(module).main()
        run.append(module)
        if module == "iar.judge":
            answers.append((folder / "run" / "generations.jsonl").read_bytes())
        return 1.0 + len(run), 100.0

    monkeypatch.setattr(scoring, "_command", here)
    result = measure("scoring", Asked(replace(tiny, records=16, limits=(*tiny.limits, f"data.root={pocket_data}")), 1))
    assert run == ["iar.sweep", "iar.judge", "iar.report"]
    assert result.exact is True
    records = [json.loads(line) for line in answers[0].splitlines()]
    asked = {(record["benchmark"], record["sample"]) for record in records}
    names = {record["configuration"] for record in records}
    assert len(records) == len(asked) * len(names) and 16 <= len(records) < 16 + len(asked)
    assert {"none", "iar-L9-x1", "iar-L14-x1", "iar-L9-x1.01"} <= names
    assert [ratio.unit for ratio in result.ratios] == [" s", " MiB"] * 2
    assert result.lanes == {"scoring now": [3.0], "report now": [4.0]}


def test_answers_are_the_same_in_any_process_and_mostly_the_usual_one() -> None:
    short = [scoring._answer("pope", "random/1", index) for index in range(100)]
    assert set(short) == {"Yes", "No"} and max(map(short.count, ("Yes", "No"))) > 70
    long = [scoring._answer("vscbench", "text/1/txt", index) for index in range(160)]
    assert long[:80] == long[80:] and len(set(long)) > 20
    assert long[0] == scoring._answer("vscbench", "text/1/txt", 0)


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(scoring.DataError, match=r"python -m iar\.nothing: .*No module named iar\.nothing"):
        scoring._command(scoring.ROOT, tmp_path, "iar.nothing")
