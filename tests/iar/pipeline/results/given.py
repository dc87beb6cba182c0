"""A finished run of tables that are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.records import Run
from iar.revision.configuration import Configuration


def run(
    folder: Path, scores: pd.DataFrame, configurations: Sequence[Configuration] = (), split: str = "validation"
) -> FinishedRun:
    found = FinishedRun(Run(folder, {"data": {"split": split}}, True), configurations=configurations)
    found.scores = scores
    return found
