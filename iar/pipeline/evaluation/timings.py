"""timings.csv: what answers cost in seconds, apart from the records, which are the same bytes on any machine.

A row a benchmark and configuration: answers that were timed, their seconds and their tokens. Configurations that were
asked together share the seconds of their pass by their tokens (`share`). Resuming adds to it, so
the mean is over all that were timed; the answers of a command that was killed outright may be missing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from iar.generation import Generation
from iar.records import csv_file

FILE = "timings.csv"
COLUMNS = ["benchmark", "configuration", "answers", "seconds", "tokens"]


@dataclass
class Spent:
    """What the answers of one configuration took."""

    answers: int = 0
    seconds: float = 0.0
    tokens: int = 0

    def add(self, generation: Generation) -> None:
        """One more answer; nothing where there is none."""
        if generation.error is None:
            self.answers += 1
            self.seconds += generation.seconds
            self.tokens += generation.tokens


def share(spent: Mapping[str, Spent]) -> None:
    """Divides the seconds of configurations that were answered together by the tokens that they took, each answer's
    closing one included: whichever answer of a pass comes first would have them all."""
    seconds = sum(one.seconds for one in spent.values())
    tokens = sum(one.tokens + one.answers for one in spent.values())
    for one in spent.values():
        one.seconds = seconds * (one.tokens + one.answers) / tokens if tokens else one.seconds


def add(folder: Path, benchmark: str, spent: Mapping[str, Spent]) -> None:
    """Adds what was spent on a benchmark's answers, by configuration, to the file."""
    new = [[benchmark, name, s.answers, s.seconds, s.tokens] for name, s in spent.items() if s.answers]
    if not new:
        return
    table = pd.concat([read(folder), pd.DataFrame(new, columns=COLUMNS)])
    table = table.groupby(COLUMNS[:2], sort=False, as_index=False).sum()
    csv_file.write(folder / FILE, table, "%.3f")


def read(folder: Path) -> pd.DataFrame:
    """The table; empty where nothing was timed yet, or the file is no such table."""
    try:
        return csv_file.read(folder / FILE)[COLUMNS]
    except (OSError, ValueError, KeyError):
        return pd.DataFrame(columns=COLUMNS)
