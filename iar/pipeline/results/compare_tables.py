"""How the comparison of two runs is shown: the scores that differ, how many answers changed, which way verdicts did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from iar.pipeline.results import compare_runs, headlines, method_table
from iar.terminal.console import console

FEW = 4  # pairs whose verdicts are told one by one; of more, all together
MOST = 4  # ways that verdicts changed, the commonest first
SETTINGS = 8  # differing settings that are named
MARKS = (
    "B - A in points ± half the 95 % interval, on the same questions; =: nothing that counts differs\n"
    "* p < .05, ** p < .01, *** p < .001 after Holm's correction over the compared configurations"
)


def show(found: compare_runs.Comparison, a: Path, b: Path) -> None:
    """Prints a comparison; runs that do not differ are one line."""
    if found.identical:
        total = int(found.counts["answers"].sum())
        console.print(
            f"{a} and {b} are identical: {len(found.pairs)} configurations, {total:,} answers, none of them and no "
            "verdict differs",
            soft_wrap=True,
        )
    else:
        console.print(f"A: {a}\nB: {b}", soft_wrap=True)
    for line in found.notes:
        console.print(f"not compared: {line}", style="yellow", soft_wrap=True)
    for line in found.settings[:SETTINGS]:
        console.print(f"differs: {line}", soft_wrap=True)
    if len(found.settings) > SETTINGS:
        console.print(f"differs: {len(found.settings) - SETTINGS} more settings (definition.json)")
    if not found.identical:
        console.print(differences(found))
        console.print(changes(found))


def differences(found: compare_runs.Comparison) -> Table:
    """A row a pair, a column a headline score."""
    scores = found.table
    places = set(scores[["benchmark", "category", "metric"]].itertuples(index=False, name=None))
    columns = [column for column in headlines.columns(scores) if column.place in places]
    protocols = ", ".join(scores["protocol"][scores["benchmark"] != "mean"].dropna().unique())
    table = Table(title="B - A", caption=f"{MARKS}\n{protocols}")
    table.add_column("configuration", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right", overflow="fold")
    indexed = scores.set_index(["configuration", "against", "benchmark", "category", "metric"])
    for old, new in found.pairs:
        cells = [_cell(indexed, (new, old, *column.place)) for column in columns]
        table.add_row(_name(old, new), *cells)
    return table


def changes(found: compare_runs.Comparison) -> Table:
    """A row a benchmark, of few pairs also a row a pair: answers and verdicts that changed, and the commonest ways."""
    counts, labels, pairs = found.counts, found.labels, found.pairs
    together = len(pairs) > FEW
    table = Table(title=f"answers and verdicts of all {len(pairs)} configurations" if together else "answers, verdicts")
    for title in ("configuration", "benchmark", "answers", "changed", "verdicts changed", "which way"):
        if title != "configuration" or not together:
            table.add_column(title, justify="left" if title in ("configuration", "benchmark", "which way") else "right")
    keys = ["benchmark"] if together else ["configuration", "against", "benchmark"]
    sums = counts.groupby(keys, sort=False)[compare_runs.COLUMNS[-3:]].sum()
    moved = labels[labels["label_a"] != labels["label_b"]].groupby([*keys, "label_a", "label_b"], sort=False)["n"].sum()
    for key, row in sums.iterrows():
        place: tuple[str, ...] = key if isinstance(key, tuple) else (key,)
        own = {at[-2:]: n for at, n in moved.items() if at[: len(place)] == place}
        names = () if together else (_name(place[1], place[0]),)
        table.add_row(*names, place[-1], *(f"{row[name]:,}" for name in compare_runs.COLUMNS[-3:]), _ways(own))
    return table


def _ways(moved: dict[tuple[str, str], int]) -> str:
    common = sorted(moved.items(), key=lambda item: (-item[1], item[0]))
    more = sum(n for _, n in common[MOST:])
    said = [f"{one} → {other} {n:,}" for (one, other), n in common[:MOST]]
    return ", ".join([*said, *([f"others {more:,}"] if more else [])])


def _name(old: str, new: str) -> str:
    return new if old == new else f"{old} → {new}"


def _cell(scores: pd.DataFrame, place: Sequence[str]) -> str:
    if tuple(place) not in scores.index:
        return "–"
    row: Any = scores.loc[tuple(place)]
    if pd.isna(row["difference"]):
        return "–"
    moved = row["verdicts_changed"] if pd.isna(row["up"]) else row["up"] + row["down"]
    if row["difference"] == 0 and moved == 0:
        return "="
    stars = next((stars for limit, stars in method_table.STARS if row["p_holm"] < limit and row["significant"]), "")
    return f"{100 * row['difference']:+.1f} ±{50 * (row['high'] - row['low']):.1f}{stars}"
