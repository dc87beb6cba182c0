"""All figures of a run, drawn again from its files: each as PNG and PDF, with the numbers it shows as CSV.

* ``frontier``: safety against helpfulness, with intervals and each method's hypervolume; by method: ``by_method``.
* ``calibration``: SRA_s against SRA_u with the regions in which a model is undersafe or oversafe.
* ``heatmaps``: every score by place and strength.
* ``categories``: SRA_s and SRA_u by category of VSCBench, unsteered and with the recommended configuration;
  ``categories_NAME`` of other benchmarks that declare panels by category, where these were asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

import benchmark
from iar.errors import UserError
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import best_by_method, categories, heat_map
from iar.plots import dumbbells, frontier, heat_maps
from iar.plots.frontier import placed
from iar.records import csv_file
from iar.stats import frontier_points, rule
from iar.stats.axes import Axes, axes_named, axes_of, plane_of
from iar.terminal.console import console

PLANE = {"helpfulness": "SRA_u", "safety": "SRA_s"}  # what stands to the right and upwards in ``calibration``


def draw(
    run: FinishedRun, title: str = "", pictures: bool = True, x: str | None = None, y: str | None = None
) -> list[Path]:
    """Draw what the run has scores for; of a frontier that cannot be drawn it is said why.

    On any other split than validation nothing is recommended.

    Args:
        title: Above each figure.
        pictures: False: only the tables that they show are written.
        x, y: Scores (``xstest.SRA_s``) of one more figure, ``frontier-X-Y``; of one alone the other axis is the usual.

    Returns:
        The files written, those of the frontier first.

    Raises:
        UserError: The run has no scores, or the files cannot be written.
    """
    folder, points = run.path, frontier_points(run.scores, run.configurations)
    best = rule.starred(run.scores, run.configurations, run.split)
    files = list(_frontier(run, points, title, best, pictures))
    if plane := plane_of(run.scores):
        files += _plain(run, folder / "calibration", title, best, plane, pictures)
    if x or y:
        files += _other_axes(run, title, best, x, y)
    cells, down = heat_map.cells(run.scores, run.configurations, best)
    if heat_map.worth_drawing(cells):
        drawn = heat_maps(cells, folder / "heatmaps", title, down=down) if pictures else []
        files += [*drawn, csv_file.write(folder / "heatmaps.csv", cells, csv_file.SMALL)]
    chosen = categories.chosen(points, run.configurations, best)
    for name in benchmark.names() if chosen else ():
        table = categories.table(run, name, str(chosen))
        if not table.empty:
            stem = folder / ("categories" if name == "vscbench" else f"categories_{name}")
            drawn = dumbbells(table, stem, title, after=str(chosen)) if pictures else []
            files += [*drawn, csv_file.write(stem.with_suffix(".csv"), table, csv_file.SMALL)]
    return files


def _frontier(run: FinishedRun, points: pd.DataFrame, title: str, best: str | None, pictures: bool) -> Iterator[Path]:
    folder, areas = run.path, run.hypervolumes
    axes = axes_of(set(run.scores["benchmark"]))
    try:
        if pictures:
            note = rule.off_front(points, run.scores, best)
            yield from frontier(points, folder / "frontier", title, best, areas, axes, note=note)
        else:
            placed(points)
    except UserError as error:
        console.print(f"no figure: {error}")
        return
    if areas is None:  # else frontier.csv came with it, and knows how sure the front is
        yield csv_file.write(folder / "frontier.csv", points, csv_file.SMALL)
    else:
        yield folder / "frontier.csv"
        yield from best_by_method.write(folder, best_by_method.table(points, areas, best_by_method.best(run, points)))


def _other_axes(run: FinishedRun, title: str, best: str | None, x: str | None, y: str | None) -> list[Path]:
    try:
        axes = axes_named(run.scores, x, y)
    except UserError as error:
        console.print(f"no figure: {error}")
        return []
    stem = run.path / "-".join(["frontier", *(f"{axis.benchmark}.{axis.metric}" for axis in axes)])
    return _plain(run, stem, title, best, axes, pictures=True)


def _plain(run: FinishedRun, stem: Path, title: str, best: str | None, axes: Axes, pictures: bool) -> list[Path]:
    """A frontier without hypervolumes, and its points."""
    points, files = frontier_points(run.scores, run.configurations, axes=axes), []
    try:
        if pictures:
            note = rule.off_front(points, run.scores, best, axes)
            files = frontier(points, stem, title, best, None, axes, up="", note=note)
        else:
            placed(points)
    except UserError as error:
        console.print(f"no figure: {error}")
        return []
    if axes == plane_of(run.scores):  # under their own names
        ends = {f"{old}{end}": f"{new}{end}" for old, new in PLANE.items() for end in ("", "_low", "_high")}
        points = points.drop(columns=list(PLANE.values())).rename(columns=ends)
    return [*files, csv_file.write(stem.parent / f"{stem.name}.csv", points, csv_file.SMALL)]
