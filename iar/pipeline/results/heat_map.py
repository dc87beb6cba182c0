"""The scores of a sweep by place and strength, as its heat maps show them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from iar.pipeline.results import headlines
from iar.plots import wording
from iar.revision.configuration import Configuration
from iar.revision.methods import BASELINE
from iar.stats.axes import safety_of

COLUMNS = ["panel", "better", "row", "strength", "value", "baseline", "control", "recommended", "configurations"]


def cells(
    scores: pd.DataFrame, configurations: Sequence[Configuration], recommended: str | None = None
) -> tuple[pd.DataFrame, str]:
    """A row a panel, place and strength; random directions are the mean of their seeds.

    Returns:
        The cells: panel, better, row (the place's name), strength, value, baseline (shares), control, recommended,
        configurations (how many the value is the mean of); and what the rows are: ``layer``, ``heads``, or "" where
        their names say it.
    """
    labels, down = _labels([c for c in configurations if c.steered])
    total = scores[scores["category"] == "all"].set_index(["configuration", "benchmark", "metric"])["value"]
    rows: list[dict[str, object]] = []
    source = safety_of(set(scores["benchmark"]))
    for column in headlines.declared():
        headline, metric = column.headline, column.headline.metric
        if not headline.panel:
            continue
        benchmark = source if metric.startswith("SRA_") else column.benchmark  # of XSTest without VSCBench
        base = total.get((BASELINE, benchmark, metric), float("nan"))
        for configuration in (c for c in configurations if c.steered):
            at = (configuration.name, benchmark, metric)
            if at not in total.index:
                continue
            row: dict[str, object] = {"panel": headline.panel, "better": headline.better, "value": total[at]}
            row |= {"row": labels[configuration.name], "strength": configuration.strength, "baseline": base}
            row |= {"control": configuration.control}
            rows.append(row | {"recommended": configuration.name == recommended, "configurations": 1})
    found = pd.DataFrame(rows, columns=COLUMNS)
    if found.empty:
        return found, down
    same = ["panel", "better", "row", "strength", "control"]
    how = {"value": "mean", "baseline": "first", "recommended": "max", "configurations": "sum"}
    return found.groupby(same, sort=False).agg(how).reset_index()[COLUMNS], down


FILLED, ROWS, LABEL = 0.3, 24, 30  # the least share of cells with a score; the most rows, and letters of their names


def worth_drawing(found: pd.DataFrame) -> bool:
    """Whether there is a grid to see: more than one steered cell in a panel, and no patchwork of methods whose
    strengths have nothing to do with one another, and whose names would leave no room."""
    found = found.dropna(subset=["value"])
    steered = found[~found["control"].astype(bool)]
    if steered.empty or steered.groupby("panel").size().max() < 2:
        return False
    one = found[found["panel"] == found["panel"].iloc[0]]
    rows, columns = one["row"].nunique(), one["strength"].nunique()
    legible = rows <= ROWS and one["row"].str.len().max() <= LABEL
    return bool(legible and len(one) >= FILLED * rows * columns)


def _labels(steered: Sequence[Configuration]) -> tuple[dict[str, str], str]:
    """The row of each configuration, sorted by method, heads and layers; and what all rows are."""
    methods = list(dict.fromkeys(c.steering for c in steered if not c.control))
    order = sorted(steered, key=lambda c: (c.control, c.method, len(c.prompting), c.heads, c.layers))
    several = len({c.scale for c in order if c.traits.scales != ("raw",)}) > 1
    named = {c.name: wording.line(c.place, wording.with_unit(c.variant, several), c.said) for c in order}
    down = ""
    if named and all(name.startswith("layer ") for name in named.values()):
        down = "layer"
    elif named and all(name.endswith(" heads") for name in named.values()):
        down = "heads"
    labels: dict[str, str] = {}
    taken: set[tuple[str, float]] = set()
    for configuration in order:
        label = named[configuration.name]
        label = label.removeprefix("layer ") if down == "layer" else label.removesuffix(f" {down}")
        if configuration.control:
            label = f"{'random' if configuration.steering == 'iar' else configuration.steering} {label}".replace(
                "_", " "
            )
        elif len(methods) > 1:
            label = f"{configuration.traits.spoken} {label}"
        if not configuration.control and (label, configuration.strength) in taken:
            label = f"{label} {_rest(configuration)}"  # settings that its place does not name
        taken.add((label, configuration.strength))
        labels[configuration.name] = label
    return labels, down


def _rest(configuration: Configuration) -> str:
    known = {configuration.steering, f"x{configuration.strength:g}", *configuration.place.split("-")}
    return " ".join(part for part in configuration.name.rpartition("+")[2].split("-") if part not in known)
