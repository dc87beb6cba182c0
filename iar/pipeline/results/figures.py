"""All figures of a run, drawn again from its files: each as PNG and PDF, with the numbers it shows as CSV.

* ``frontier``: safety against helpfulness, with intervals and each method's hypervolume; by method: ``by_method``.
* ``heatmaps``: every score by place and strength.
* ``categories``: SRA_s and SRA_u by category of VSCBench, unsteered and with the recommended configuration;
  ``categories_xstest`` and ``categories_dualbench`` where these were asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from iar.errors import UserError
from iar.pipeline.results import best_by_method, categories, heat_map, sweep_table
from iar.plots import dumbbells, frontier, heat_maps
from iar.records import Run
from iar.revision.configuration import Configuration
from iar.stats import frontier_points
from iar.terminal.console import console

FORMAT = "%.6g"


def draw(
    folder: Path,
    scores: pd.DataFrame | None = None,
    configurations: Sequence[Configuration] | None = None,
    title: str = "",
    split: str | None = None,
) -> list[Path]:
    """Draw what the run has scores for; of a frontier that cannot be drawn it is said why.

    Args:
        folder: Of the run.
        scores, configurations: As `iar.pipeline.results.sweep_table.read` returns them; None reads them.
        title: Above each figure.
        split: None reads it from the run's definition. On any other than validation nothing is recommended.

    Returns:
        The files written, those of the frontier first.

    Raises:
        UserError: The run has no scores, or the files cannot be written.
    """
    if scores is None or configurations is None:
        scores, configurations = sweep_table.read(folder)
    if split is None:
        split = str(Run.at(folder).definition.get("data", {}).get("split", "validation"))
    points = frontier_points(scores, configurations)
    best = sweep_table.recommended(points, split)
    files = list(_frontier(folder, points, title, best, split))
    cells, down = heat_map.cells(scores, configurations, best)
    if heat_map.worth_drawing(cells):
        files += _drawn(folder / "heatmaps", cells, lambda stem: heat_maps(cells, stem, title, down=down))
    chosen = categories.chosen(points, configurations, best)
    for benchmark in categories.BENCHMARKS if chosen else ():
        table = categories.table(folder, scores, benchmark, str(chosen))
        if not table.empty:
            name = "categories" if benchmark == "vscbench" else f"categories_{benchmark}"
            files += _drawn(folder / name, table, _dumbbells(table, title, str(chosen)))
    return files


def _frontier(folder: Path, points: pd.DataFrame, title: str, best: str | None, split: str) -> Iterator[Path]:
    areas = _read(folder / "hypervolume.csv")
    try:
        yield from frontier(points, folder / "frontier", title=title, recommended=best, hypervolumes=areas)
    except UserError as error:
        console.print(f"no figure: {error}")
        return
    if areas is None:  # else frontier.csv came with it, and knows how sure the front is
        yield _write(folder / "frontier.csv", points)
    else:
        yield folder / "frontier.csv"
        yield from best_by_method.write(folder, best_by_method.table(points, areas, split))


def _dumbbells(table: pd.DataFrame, title: str, chosen: str) -> Callable[[Path], list[Path]]:
    return lambda stem: dumbbells(table, stem, title, after=chosen)


def _drawn(stem: Path, table: pd.DataFrame, draw_it: Callable[[Path], list[Path]]) -> list[Path]:
    return [*draw_it(stem), _write(stem.with_suffix(".csv"), table)]


def _write(file: Path, table: pd.DataFrame) -> Path:
    partial = file.with_suffix(".partial")
    try:
        table.to_csv(partial, index=False, float_format=FORMAT)
        partial.replace(file)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror or error}; choose a writable folder") from error
    return file


def _read(file: Path) -> pd.DataFrame | None:
    """None where there is none, or it is no table of hypervolumes."""
    try:
        table = pd.read_csv(file)
        return table.assign(**{name: table[name] for name in ("group", "against", "hypervolume", "low", "high")})
    except (OSError, ValueError, KeyError):
        return None
