"""The table of methods: each against the baseline, what it gains, costs and takes.

``methods.csv`` has a row a configuration and a column a score, with its difference to the baseline and Holm's p over
the run's configurations (`iar.stats.differences`). ``methods.md`` and ``methods.tex`` show them; what was measured in
seconds is in these two alone, so that the first is the same bytes for the same answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.table import Table

from iar.pipeline.evaluation import unscored
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import headlines, markup, random_controls, sweep_table
from iar.pipeline.results.headlines import Column, Place
from iar.records import csv_file, text_file
from iar.terminal.console import console

FILES = ("methods.csv", "methods.md", "methods.tex")
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
SAFETY = ("SRA_s", "SRA_u", "SRA_a")
# Metrics that are means over all answers of all benchmarks, with their titles; of some the shares.
COSTS = {
    "tokens": "tokens",
    "prompt_tokens": "prompt tokens",
    "no_final": "no final answer",
    "nll": "NLL",
    "incoherent": "incoherent",
}
SHARES = ("no_final", "incoherent")
NOTE = (
    "Percent; in brackets the paired difference to `none` in points: * p < .05, ** p < .01, *** p < .001 after Holm's "
    "correction over the configurations. Tokens (of the answer, reasoning included; of the prompt, images included) "
    "and seconds are means an answer."
)
BY_CATEGORY = "SRA_s / SRA_u / SRA_a by category and mode"

Cell = Callable[[str, Place], str]  # of a configuration and place: `sweep_table.cells`


class Report(NamedTuple):
    """What the table shows, ready to be set."""

    title: tuple[str, ...]
    rows: list[tuple[str, ...]]
    category_title: tuple[str, ...]
    category_rows: list[tuple[str, ...]]
    notes: list[str]
    against: list[tuple[str, ...]]


def write(run: FinishedRun) -> list[Path]:
    """The three files of a run folder, from its scores, differences.csv and timings.csv."""
    report = _report(run)
    texts = (csv_file.text(_wide(run), "%.6g"), _markdown(run, report), _tex(run, report))
    named = zip(FILES, texts, strict=True)
    return [text_file.write(run.path / name, text.rstrip("\n") + "\n") for name, text in named]


def refresh(run: FinishedRun) -> None:
    """Writes them again where they are: what they are made of has changed."""
    if (run.path / FILES[0]).is_file():
        write(run)


def show(run: FinishedRun, title: str) -> None:
    """Prints the table, SRA by category, and what is unscored."""
    report = _report(run)
    if many := unscored.warning(run.scores):
        console.print(many, style="bold red")
    table = Table(title=title, caption="\n".join([NOTE.replace("`", ""), *report.notes]))
    for number, name in enumerate(report.title):
        table.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=not number)
    for row in report.rows:
        table.add_row(*row)
    console.print(table)
    if report.against:
        console.print(sweep_table.against(report.against))
    if report.category_rows:
        table = Table(title=BY_CATEGORY, caption="percent")
        for number, name in enumerate(report.category_title):
            table.add_column(name, justify="right" if number else "left", overflow="fold")
        for row in report.category_rows:
            table.add_row(*row)
        console.print(table)
    if (lost := unscored.table(run.scores)) is not None:
        console.print(lost)


def markdown(run: FinishedRun) -> str:
    """The same as Markdown."""
    return _markdown(run, _report(run))


def _markdown(run: FinishedRun, report: Report) -> str:
    warned = map(markup.escape_markdown, filter(None, [unscored.warning(run.scores)]))
    parts = [*warned, markup.markdown(report.title, report.rows), NOTE]
    if report.against:
        parts += [markup.markdown(random_controls.TITLE, report.against), random_controls.NOTE]
    if report.category_rows:
        parts += [f"{BY_CATEGORY}:", markup.markdown(report.category_title, report.category_rows)]
    return "\n\n".join([*parts, *map(markup.escape_markdown, report.notes)])


def tex(run: FinishedRun) -> str:
    """The same as LaTeX: two floats that need booktabs and graphicx."""
    return _tex(run, _report(run))


def _tex(run: FinishedRun, report: Report) -> str:
    told = " ".join(filter(None, [unscored.warning(run.scores), NOTE.replace("`", ""), *report.notes]))
    parts = ["% needs booktabs and graphicx", markup.table(report.title, report.rows, told, "tab:iar-methods")]
    if report.against:
        caption = f"Against random directions. {random_controls.NOTE.replace('`', '')}"
        parts.append(markup.table(random_controls.TITLE, report.against, caption, "tab:iar-random"))
    if report.category_rows:
        caption = f"{BY_CATEGORY}, in percent."
        parts.append(markup.table(report.category_title, report.category_rows, caption, "tab:iar-categories"))
    return "\n\n".join(parts)


def _report(run: FinishedRun) -> Report:
    scores, changes = run.scores, run.differences
    names = [configuration.name for configuration in run.configurations]
    columns = [c for c in _headlines(scores) if not c.headline.detail]
    times = run.timings.groupby("configuration")[["answers", "seconds"]].sum()
    costs = [metric for metric in COSTS if metric in set(scores["metric"])]
    cell, rows = sweep_table.cells(scores), []
    for name in names:
        cells = [_cell(cell, changes, name, column.place) for column in columns]
        cells += [_cost(scores, name, metric) for metric in costs]
        rows.append((name, *cells, _seconds(times, name)))
    title = ("method", *(column.title for column in columns), *(COSTS[metric] for metric in costs), "s")
    by_category = [
        (
            category,
            *("\u00a0/\u00a0".join(_share(cell, name, category, metric) for metric in SAFETY) for name in names),
        )
        for category in _categories(scores)
    ]
    against = random_controls.cells(random_controls.table(scores, run.configurations))
    return Report(title, rows, ("category", *names), by_category, sweep_table.notes(scores, run.path), against)


def _headlines(scores: pd.DataFrame) -> list[Column]:
    """The columns of the summary but VSCBench's halves, which have their place beside the categories."""
    return [c for c in headlines.columns(scores) if c.benchmark != "vscbench" or c.headline.category == "all"]


def _cell(cell: Cell, changes: pd.DataFrame, name: str, place: Place) -> str:
    """A score, and in brackets its difference to the baseline with the stars of Holm's p, if it is significant."""
    value = cell(name, place).partition(" ")[0]
    at = (name, *place)
    if at not in changes.index:
        return value
    change = changes.loc[at]
    if math.isnan(change["difference"]):
        return value
    # In 16 bits it may be below the noise floor, whatever its p.
    significant = change.get("significant", True)
    stars = next((stars for below, stars in STARS if change["p_holm"] < below and significant), "")
    return f"{value} ({100 * change['difference']:+.1f}{stars})"


def _cost(scores: pd.DataFrame, name: str, metric: str) -> str:
    """The mean over all answers of all benchmarks; a share in percent."""
    rows = scores[(scores["configuration"] == name) & (scores["metric"] == metric) & (scores["category"] == "all")]
    count = rows["n_scored"].sum()
    if not count:
        return "–"
    mean = float((rows["value"] * rows["n_scored"]).sum() / count)
    if metric in SHARES:
        return f"{100 * mean:.1f}"
    return f"{mean:.{sweep_table.DIGITS.get(metric, 1)}f}"


def _seconds(times: pd.DataFrame, name: str) -> str:
    return f"{times['seconds'][name] / times['answers'][name]:.3g}" if name in times.index else "–"


def _share(cell: Cell, name: str, category: str, metric: str) -> str:
    return cell(name, ("vscbench", category, metric)).partition(" ")[0]


def _categories(scores: pd.DataFrame) -> Iterator[str]:
    """All, the halves, then the categories and modes of VSCBench, in the order of the table."""
    found = scores[(scores["benchmark"] == "vscbench") & (scores["metric"].isin(SAFETY))]["category"].unique()
    first = [name for name in ("all", "image", "text") if name in found]
    yield from [*first, *(name for name in found if name not in first)]


def _wide(run: FinishedRun) -> pd.DataFrame:
    """A row a configuration: every headline with interval, difference and p, SRA by category, and the costs."""
    scores, changes, rows = run.scores, run.differences, []
    for name in scores["configuration"].unique():
        own = scores[scores["configuration"] == name].set_index(["benchmark", "category", "metric"])
        row: dict[str, object] = {"configuration": name}
        for title, at in ((column.title, column.place) for column in _headlines(scores)):
            for field in ("value", "low", "high"):
                row[title if field == "value" else f"{title}_{field}"] = own[field].get(at, math.nan)
            for field in ("difference", "p_holm"):
                there = (name, *at) in changes.index
                row[f"{title}_{field}"] = changes.loc[(name, *at), field] if there else math.nan
        for category in _categories(scores):
            for metric in SAFETY if category != "all" else ():
                row[f"{metric}[{category}]"] = own["value"].get(("vscbench", category, metric), math.nan)
        for benchmark in scores["benchmark"].unique():
            for metric in COSTS:
                at = (benchmark, "all", metric)
                if at in own.index:
                    row[f"{metric}[{benchmark}]"] = own["value"][at]
        rows.append(row)
    return pd.DataFrame(rows)
