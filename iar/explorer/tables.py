"""The scores of a run as plain data: configurations, the lines they form, their headline scores, and categories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.protocol import Headline
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results.headlines import Column, columns
from iar.revision.configuration import Configuration
from iar.stats import frontier_points

HELPFULNESS = Column("mean", Headline("helpfulness", "helpfulness"))
TOPIC = "topic:"  # groups of ScienceQA: dozens, of a few questions each


def headlines(scores: pd.DataFrame) -> list[Column]:
    """Every headline that the run has scores of: helpfulness, then the columns of its table."""
    there = set(scores[["benchmark", "category", "metric"]].itertuples(index=False, name=None))
    return [column for column in (HELPFULNESS, *columns(scores)) if column.place in there]


def described(found: Sequence[Column]) -> list[dict[str, Any]]:
    """title, benchmark, category, metric, which way is better and whether it has a heat map, of every headline."""
    return [
        {
            "title": column.headline.alone,
            **dict(zip(("benchmark", "category", "metric"), column.place, strict=True)),
            "better": column.headline.better,
            "panel": bool(column.headline.panel),
        }
        for column in found
    ]


def configurations(run: FinishedRun, shown: Sequence[Column]) -> list[dict[str, Any]]:
    """Every configuration: what it is, where it stands on the frontier, and of each headline ``[value, low, high]``
    and the paired difference to the baseline ``[difference, low, high, Holm's p]`` (shares; null where there is none).
    """
    points = frontier_points(run.scores, run.configurations).set_index("configuration")
    values = _cells(run.scores, ("value", "low", "high"))
    moved = changes(run)
    places = [column.place for column in shown]
    return [
        {
            "name": c.name,
            "method": c.method,
            "prompting": c.said,
            "place": c.place,
            "variant": c.variant,
            "strength": c.strength,
            "control": c.control,
            "pareto": bool(points["pareto"][c.name]),
            "share": number(run.front_shares.get(c.name)),
            "values": [values.get((c.name, *place)) for place in places],
            "changes": [moved.get((c.name, *place)) for place in places],
        }
        for c in run.configurations
    ]


def changes(run: FinishedRun) -> dict[tuple[str, ...], list[float | None] | None]:
    """(configuration, benchmark, category, metric) -> the paired difference to the baseline, its ends, Holm's p."""
    return _cells(run.differences.reset_index(), ("difference", "low", "high", "p_holm"))


def lines(found: Sequence[Configuration]) -> list[dict[str, Any]]:
    """Configurations that differ in nothing but strength (and seed, if random): name, members by strength.

    What is only prompted forms no line. Random directions come last.
    """
    groups: dict[tuple[bool, str], list[int]] = {}
    for index, configuration in enumerate(found):
        if configuration.steered:
            groups.setdefault((configuration.control, line(configuration)), []).append(index)
    return [
        {"name": name, "control": control, "members": sorted(members, key=lambda i: (found[i].strength, i))}
        for (control, name), members in sorted(groups.items(), key=lambda group: group[0][0])
    ]


def line(configuration: Configuration) -> str:
    """What its line is called, e.g. ``layer 14``, ``gated layer 14``, ``24 heads of layer 9``, ``layer 14, cot``."""
    layers = "+".join(map(str, configuration.layers))
    where = f"layer {layers}" if layers else ""
    if configuration.heads:
        where = f"{configuration.heads} heads" + (f" of {where}" if where else "")
    steering = configuration.steering.replace("_", " ").replace("iar", "random" if configuration.control else "")
    words = [steering, where, configuration.variant.replace("-", " ")]
    return ", ".join(filter(None, (" ".join(filter(None, words)), configuration.said)))


def categories(scores: pd.DataFrame, found: Sequence[Configuration], shown: Sequence[Column]) -> dict[str, Any]:
    """The headline metrics by category: ``rows`` of [benchmark, category, metric, n], ``values`` a list a configuration
    in the order of the rows (shares; null where there is none)."""
    wanted = {(column.benchmark, column.headline.metric) for column in shown if column.headline.better}
    pairs = zip(scores["benchmark"], scores["metric"], strict=True)
    at = pd.Series([pair in wanted for pair in pairs], index=scores.index)
    kept = scores[at & (scores["category"] != "all") & ~scores["category"].astype(str).str.startswith(TOPIC)]
    rows = kept.drop_duplicates(["benchmark", "category", "metric"])
    places = list(rows[["benchmark", "category", "metric"]].itertuples(index=False, name=None))
    values = _cells(kept, ("value",))
    counts = rows["n"] if "n" in rows else pd.Series(0, index=rows.index)  # a run may be older than the count
    cells = [[(values.get((c.name, *place)) or [None])[0] for place in places] for c in found]
    return {"rows": [[*place, int(n)] for place, n in zip(places, counts, strict=True)], "values": cells}


def _cells(table: pd.DataFrame, fields: Sequence[str]) -> dict[tuple[str, ...], list[float | None] | None]:
    """(configuration, benchmark, category, metric) -> the fields; None where the first is missing."""
    keys = ["configuration", "benchmark", "category", "metric"]
    if not {*keys, *fields} <= set(table):
        return {}
    rows = zip(*(table[key] for key in keys), *(table[field] for field in fields), strict=True)
    return {tuple(map(str, row[:4])): None if pd.isna(row[4]) else [number(v) for v in row[4:]] for row in rows}


def number(value: Any) -> float | None:
    """Six digits, or None for NaN and infinity, which JSON does not know."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
