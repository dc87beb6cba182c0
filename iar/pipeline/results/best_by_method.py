"""A table by method: its best configuration, and the hypervolume of its front.

``by_method.csv``, ``.md`` and ``.tex`` beside the frontier figure. The best configuration is the recommended one of the
method alone, chosen on the validation split by the rule of the whole run (`iar.stats.rule`); the
hypervolumes are those of hypervolume.csv.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import markup
from iar.plots import hypervolume, wording
from iar.records import csv_file, text_file
from iar.revision.methods import BASELINE
from iar.stats import recommend
from iar.stats.cells import interval, percent

STEM = "by_method"
SCORES = {"SRA_s": "SRA_s", "SRA_u": "SRA_u", "SRA_a": "safety", "helpfulness": "helpfulness"}
NOTE = (
    "Percent; in brackets 95 % intervals. Hypervolume: the area under the method's front, the unsteered model always "
    "among its points; the last column is what the method adds to the unsteered model's. The scores are those of the "
    "method's best configuration."
)


def best(run: FinishedRun, points: pd.DataFrame) -> dict[str, str]:
    """Method -> its best configuration; on any other split than validation nothing is chosen: its only one, if any."""
    families = pd.Series(wording.families(points), points["configuration"])
    found = {}
    for name, own in families.groupby(families, sort=False):
        names = {BASELINE, *own.index}
        among = [c for c in run.configurations if c.name in names] if run.split == "validation" else []
        # Random directions are no candidates of a run, but among themselves one of them is the best.
        chosen = recommend(run.scores, among, controls=True) if len(own) > 1 else str(own.index[0])
        found[str(name)] = chosen or ""
    return found


def table(points: pd.DataFrame, hypervolumes: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    """A row a method, shares from 0 to 1.

    Args:
        points: As from `iar.stats.frontier_points`.
        hypervolumes: As from `iar.stats.hypervolumes`.
        chosen: As from `best`.

    Returns:
        method, configurations (how many), best, SRA_s, SRA_u, SRA_a, helpfulness, hypervolume, low, high, and over_
        each of the last three: the difference to the baseline.
    """
    points = points.assign(family=wording.families(points))
    areas = hypervolume.rows(hypervolumes).set_index("group") / 100
    rows = []
    for name in areas.index:
        count, own = int((points["family"] == name).sum()), chosen.get(name, "")
        row: dict[str, object] = {"method": name, "configurations": count, "best": own}
        at = points[points["configuration"] == own]
        row |= {title: math.nan if at.empty else float(at[column].iloc[0]) for title, column in SCORES.items()}
        rows.append(row | areas.loc[name].to_dict())
    return pd.DataFrame(rows)


def write(folder: Path, found: pd.DataFrame) -> list[Path]:
    """The three files."""
    title, rows = _cells(found)
    caption = f"Methods by the hypervolume of their front. {NOTE}"
    texts = {
        "csv": csv_file.text(found, "%.6g"),
        "md": f"{markup.markdown(title, rows)}\n\n{NOTE}\n",
        "tex": f"% needs booktabs and graphicx\n{markup.table(title, rows, caption, 'tab:iar-by-method')}\n",
    }
    return [text_file.write(folder / f"{STEM}.{suffix}", text) for suffix, text in texts.items()]


def _cells(found: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    title = ["method", "configurations", "best", *SCORES, "hypervolume", "over unsteered"]
    names = list(found["method"])
    rows = []
    for row in found.to_dict("records"):
        cells = [wording.spoken(row["method"], names), str(row["configurations"]), row["best"] or "–"]
        cells += [percent(row[name]) for name in SCORES]
        cells.append(interval(row["hypervolume"], row["low"], row["high"]))
        cells.append(interval(row["over_hypervolume"], row["over_low"], row["over_high"], "+"))
        rows.append(cells)
    return title, rows
