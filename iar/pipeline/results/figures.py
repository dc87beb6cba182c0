"""All figures of a run, drawn again from its files: each as PNG and PDF, with the numbers it shows as CSV.

* ``frontier``: safety against helpfulness, with intervals and each method's hypervolume; by method: ``by_method``.
* ``heatmaps``: every score by place and strength.
* ``categories``: SRA_s and SRA_u by category of VSCBench, unsteered and with the recommended configuration;
  ``categories_NAME`` of other benchmarks that declare panels by category, where these were asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

import benchmark
from iar.errors import UserError
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import best_by_method, categories, heat_map, sweep_table
from iar.plots import dumbbells, frontier, heat_maps
from iar.records import csv_file
from iar.stats import frontier_points
from iar.stats.axes import axes_of
from iar.terminal.console import console


def draw(run: FinishedRun, title: str = "") -> list[Path]:
    """Draw what the run has scores for; of a frontier that cannot be drawn it is said why.

    On any other split than validation nothing is recommended.

    Args:
        title: Above each figure.

    Returns:
        The files written, those of the frontier first.

    Raises:
        UserError: The run has no scores, or the files cannot be written.
    """
    folder, points = run.path, frontier_points(run.scores, run.configurations)
    best = sweep_table.recommended(points, run.split)
    files = list(_frontier(run, points, title, best))
    cells, down = heat_map.cells(run.scores, run.configurations, best)
    if heat_map.worth_drawing(cells):
        files += _drawn(folder / "heatmaps", cells, lambda stem: heat_maps(cells, stem, title, down=down))
    chosen = categories.chosen(points, run.configurations, best)
    for name in benchmark.names() if chosen else ():
        table = categories.table(run, name, str(chosen))
        if not table.empty:
            stem = "categories" if name == "vscbench" else f"categories_{name}"
            files += _drawn(folder / stem, table, _dumbbells(table, title, str(chosen)))
    return files


def _frontier(run: FinishedRun, points: pd.DataFrame, title: str, best: str | None) -> Iterator[Path]:
    folder, areas = run.path, run.hypervolumes
    right, up = axes_of(set(run.scores["benchmark"]))
    try:
        yield from frontier(points, folder / "frontier", title, best, areas, labels=(right.label, up.label))
    except UserError as error:
        console.print(f"no figure: {error}")
        return
    if areas is None:  # else frontier.csv came with it, and knows how sure the front is
        yield csv_file.write(folder / "frontier.csv", points, csv_file.SMALL)
    else:
        yield folder / "frontier.csv"
        yield from best_by_method.write(folder, best_by_method.table(points, areas, run.split))


def _dumbbells(table: pd.DataFrame, title: str, chosen: str) -> Callable[[Path], list[Path]]:
    return lambda stem: dumbbells(table, stem, title, after=chosen)


def _drawn(stem: Path, table: pd.DataFrame, draw_it: Callable[[Path], list[Path]]) -> list[Path]:
    return [*draw_it(stem), csv_file.write(stem.with_suffix(".csv"), table, csv_file.SMALL)]
