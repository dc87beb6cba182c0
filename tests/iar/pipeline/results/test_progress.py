"""How far a run is: counted against what it asks, with the rate of the last looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.sample import Loaded, Sample
from iar.pipeline.evaluation import asked_file
from iar.pipeline.results import progress
from iar.pipeline.results.progress import Looking
from iar.records import Log, Run
from iar.records.lock import held
from iar.revision.configuration import Configuration

CONFIGURATIONS = [Configuration(), Configuration("iar", (2,), 1.5)]


def record(number: int, configuration: str, error: str | None = None) -> dict[str, object]:
    return {"benchmark": "pope", "sample": str(number), "configuration": configuration, "error": error}


def test_rate_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    samples = [Sample(str(i), "pope", "", "?", (), "yes", str(i)) for i in range(10)]
    asked = {"pope/official-9000": Loaded(tuple(samples)), "xstest": Loaded(())}
    run = Run.open(tmp_path, {"model": "m"})
    asked_file.write(tmp_path, asked, CONFIGURATIONS)
    looking = Looking.at(tmp_path)
    first = looking.look()
    assert (first.answers, first.total, first.rate, first.running) == (0, 20, None, True)
    with Log(tmp_path / "generations.jsonl") as log:
        for at, number in ((10.0, 0), (20.0, 1), (30.0, 1)):  # the last is asked again: it counts once
            now[0] = at
            log.append(record(number, "none", None if at < 30 else "no image"))
            log.append(record(number, "a configuration of another command"))
            found = looking.look()
    assert found.done == {"none": {"pope": 2, "xstest": 0}, "iar-L2-x1.5": {"pope": 0, "xstest": 0}}
    assert found.failed == {"none": 1, "iar-L2-x1.5": 0}
    assert found.rate == pytest.approx(2 / 30) and found.seconds_left == pytest.approx(18 * 15)
    now[0] += progress.WINDOW
    assert looking.look().rate is None  # nothing in the last two minutes
    del run
    assert not held(tmp_path) and not looking.look().running
