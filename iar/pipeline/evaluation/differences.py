"""What a run's configurations gain over the baseline and over each other, beside scores.csv.

* ``differences.csv``: every configuration minus the baseline, paired, with clustered interval and p, Holm's correction
  over the run's configurations, and McNemar's test (`iar.stats.differences`). In 16 bits a difference that is no larger
  than the noise floor (`iar.pipeline.evaluation.noise_floor`) is not significant.
* ``frontier.csv``: the points of the frontier figure, with the share of bootstrap draws in which each is on the front.
* ``hypervolume.csv``: the area below the front of each method, and each difference of two (`iar.stats.hypervolumes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from iar.pipeline.evaluation import noise_floor
from iar.records import csv_file
from iar.revision import methods
from iar.revision.configuration import Configuration
from iar.stats import differences, frontier_points, hypervolumes, resample
from iar.stats.axes import axes_of


def write(
    folder: Path, outcomes: pd.DataFrame, scores: pd.DataFrame, configurations: Sequence[Configuration]
) -> list[Path]:
    """The files that the run has something to say in: none without a baseline, the first alone where there is no score
    of safety (VSCBench or XSTest).

    Args:
        scores: As scores.csv, with the ``protocol`` of each score, which is written beside what is made of it.
    """
    if len(configurations) < 2 or configurations[0].method != "none":
        return []
    tables = {"differences": above_noise(differences(outcomes), noise_floor.read(folder))}
    axes = axes_of(set(scores["benchmark"]))
    if axes.safety.benchmark in set(scores["benchmark"]):
        draws = resample(outcomes)
        tables["frontier"] = frontier_points(scores, configurations, draws=draws)
        tables["hypervolume"] = hypervolumes(draws, {c.name: methods.group(c.family, c.place) for c in configurations})
    named = scores.drop_duplicates("benchmark").set_index("benchmark")["protocol"]
    tables["differences"].insert(2, "protocol", tables["differences"]["benchmark"].map(named))
    for name in tables.keys() - {"differences"}:  # safety and helpfulness together
        both = dict.fromkeys((axes.safety.benchmark, axes.helpfulness.benchmark))
        tables[name]["protocol"] = " + ".join(str(named[benchmark]) for benchmark in both)
    return [csv_file.write(folder / f"{name}.csv", table, csv_file.SMALL) for name, table in tables.items()]


def above_noise(table: pd.DataFrame, *floors: noise_floor.NoiseFloor | None) -> pd.DataFrame:
    """The differences, none of which is significant that is no larger than a noise floor."""
    significant = table["significant"].astype(bool)
    for floor in floors:
        if floor is not None:
            significant &= table["difference"].abs() > floor.of(table)
    return table.assign(significant=significant)
