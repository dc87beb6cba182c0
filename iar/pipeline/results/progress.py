"""How far a run is, from its folder alone: what another process has written there so far.

A folder is hostile text; what is read here is counted and named, and made inert where it is shown.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.untrusted import parse_json
from iar.errors import UserError
from iar.pipeline.evaluation.asked_file import NAME
from iar.records import Run
from iar.records.lock import held

WINDOW = 120.0  # seconds: the rate is that of the last two minutes that were looked at


@dataclass(frozen=True)
class Progress:
    """One look at a run.

    Attributes:
        asked: Configuration -> benchmark -> number of questions.
        done: Configuration -> benchmark -> number of answers; those that could not be given are among them.
        failed: Configuration -> number of answers that could not be given.
        verdicts: Number of verdicts.
        rate: Answers a second; None where that is not known yet.
        running: Whether a process works in the folder.
    """

    asked: dict[str, dict[str, int]]
    done: dict[str, dict[str, int]]
    failed: dict[str, int]
    verdicts: int
    rate: float | None
    running: bool

    @property
    def total(self) -> int:
        return sum(sum(questions.values()) for questions in self.asked.values())

    @property
    def answers(self) -> int:
        return sum(sum(answers.values()) for answers in self.done.values())

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.answers) / self.rate if self.rate else None


@dataclass
class Looking:
    """Looks at a run folder again and again; each time only what is new is read."""

    run: Run
    seen: list[tuple[float, int]] = field(default_factory=list)

    @classmethod
    def at(cls, folder: Path) -> Looking:
        """Raises UserError where there is no run."""
        return cls(Run.at(folder))

    def look(self) -> Progress:
        """How far the run is by now.

        Raises:
            UserError: A file of the folder is broken.
        """
        running = held(self.run.path)  # before the records: a run that ends meanwhile is looked at once more
        asked = _asked(self.run.path / NAME)
        latest = {_place(record): record for record in self.run.log("generations").read()}
        done: dict[str, dict[str, int]] = {name: dict.fromkeys(questions, 0) for name, questions in asked.items()}
        failed = dict.fromkeys(asked, 0)
        for (benchmark, _, configuration), record in latest.items():
            if benchmark in done.get(configuration, ()):
                done[configuration][benchmark] += 1
                failed[configuration] += bool(record.get("error"))
        verdicts = len({_place(record) for record in self.run.log("verdicts").read()})
        answers = sum(sum(one.values()) for one in done.values())
        return Progress(asked, done, failed, verdicts, self._rate(answers), running)

    def _rate(self, answers: int) -> float | None:
        now = time.monotonic()
        self.seen = [(then, count) for then, count in self.seen if now - then <= WINDOW] + [(now, answers)]
        then, count = self.seen[0]
        return (answers - count) / (now - then) if answers > count else None


def _place(record: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(record.get("benchmark")), str(record.get("sample")), str(record.get("configuration"))


def _asked(file: Path) -> dict[str, dict[str, int]]:
    """Raises UserError where the file is not what `iar.pipeline.evaluation.asked_file` writes."""
    try:
        content = parse_json(file.read_bytes())
        questions = {str(name): int(number) for name, number in content["questions"].items()}
        return {str(name): dict(questions) for name in content["configurations"]}
    except FileNotFoundError:
        raise UserError(f"{file.parent} does not say what is asked (no {NAME}): nothing was asked there yet") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"cannot read {file}: {error}") from error
