"""A finished run in Python: its scores as a table, its answers, its figure."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.stats import frontier_points, rule
from iar.stats.axes import axes_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST = "test"  # the folder of the recommended point's run on the test split


def load_run(folder: str | Path) -> Run:
    """The run in a folder that ``iar.sweep`` or ``iar.evaluate`` wrote; nothing is computed again.

    Raises:
        UserError: There is no run in it, or it has no scores.
    """
    return Run(FinishedRun.scored(Path(folder)))


class Run:
    """A run that was scored.

    Attributes:
        finished: Its files, as the commands read them.
        path: Its folder.
    """

    def __init__(self, finished: FinishedRun) -> None:
        self.finished = finished
        self.path = finished.path

    @property
    def scores(self) -> pd.DataFrame:
        """scores.csv: a row a configuration, benchmark, category and metric, with intervals (docs/formats.md)."""
        return self.finished.scores

    @property
    def configurations(self) -> list[str]:
        """Names, the baseline ("none") first."""
        return [configuration.name for configuration in self.finished.configurations]

    @property
    def split(self) -> str:
        """``validation`` or ``test``."""
        return self.finished.split

    @cached_property
    def recommended(self) -> str | None:
        """The configuration that the table and the figures mark, chosen on the validation split; None on any other."""
        return rule.starred(self.scores, self.finished.configurations, self.split)

    @cached_property
    def answers(self) -> pd.DataFrame:
        """Every answer with its verdict: benchmark, sample, configuration, answer, label (None: unscored), reason."""
        verdicts = self.finished.verdicts
        rows = []
        for place, record in self.finished.generations.items():
            verdict = verdicts.get(place, {})
            rows.append((*place, record["answer"], verdict.get("label"), verdict.get("reason")))
        return pd.DataFrame(rows, columns=["benchmark", "sample", "configuration", "answer", "label", "reason"])

    @cached_property
    def test(self) -> Run | None:
        """The recommended point on the test split, where it was scored there: the scores to quote."""
        folder = self.path / TEST
        return load_run(folder) if (folder / "scores.csv").is_file() else None

    def frontier(self, x: str | None = None, y: str | None = None) -> Figure:
        """The figure of safety against helpfulness, or of any two scores.

        Args:
            x, y: ``BENCHMARK.METRIC`` of the scores, e.g. ``xstest.SRA_s``; the better end is to the right and above.

        Raises:
            UserError: No such score, or it is not known which way it is better; no point has both.
        """
        from iar.plots.frontier import figure

        axes, usual = axes_named(self.scores, x, y), not x and not y
        points = frontier_points(self.scores, self.finished.configurations, axes=axes)
        note = rule.off_front(points, self.scores, self.recommended, axes)
        areas = self.finished.hypervolumes if usual else None
        return figure(points, "", self.recommended, areas, axes, "safety: " if usual else "", note)

    def __repr__(self) -> str:
        asked = ", ".join(name for name in self.scores["benchmark"].unique() if name != "mean")
        best = f"; recommended {self.recommended}" if self.recommended else ""
        count = len(self.configurations)
        return f"Run({self.path}: {count} configurations on {asked}, {self.split} split{best})"
