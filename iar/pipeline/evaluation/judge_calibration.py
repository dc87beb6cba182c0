"""A judge measured on answers that people labelled: files in, calibration.csv, confusion.csv and tables out.

Files are XSTest's ``xstest_v2_completions_*.csv`` (the type says which prompts are safe, answers to one prompt are a
cluster), or CSV, JSON Lines or JSON with a query, an answer and a label (`iar.judges.recorded`) and, where they have
them, ``category``, ``reference`` (safe or unsafe, without which there is no SRA) and ``cluster`` (else the query).
Labels may be DUAL-Bench's; then ``rendered`` is the sentence in the image, and SCR is measured.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from benchmark import dualbench, xstest
from iar import records
from iar.errors import UserError, did_you_mean
from iar.judges import calibration, recorded
from iar.judges.calibration import ALL, COUNTED, POOLED
from iar.judges.judge import Item, Judge
from iar.judges.verdict import LABELS
from iar.pipeline.evaluation.finished_run import KEYS, FinishedRun
from iar.pipeline.evaluation.judge import PASSING
from iar.pipeline.evaluation.unscored import MANY
from iar.records import Run, csv_file
from iar.stats.cells import interval, percent
from iar.stats.corrected import Corrected, Quality, effective, mean, rogan_gladen
from iar.terminal import log_file
from iar.terminal.console import console

XSTEST = {"id", "type", "prompt", "completion", "final_label"}
REFERENCES = ("safe", "unsafe", "")
CORRECTED = [*KEYS, "judged", "corrected", "low", "high", "sensitivity", "specificity"]


@dataclass(frozen=True)
class Labelled:
    """An answer that people labelled."""

    file: str
    place: str
    item: Item
    human: str
    category: str
    reference: str
    cluster: str


def read(files: Sequence[Path]) -> list[Labelled]:
    """The labelled answers of all files; rows without a label are left out, and counted on the console.

    Raises:
        UserError: A row without a query, an answer or a readable label, or two files of one name.
        DataError: A file cannot be read.
    """
    if len({file.name for file in files}) < len(files):
        raise UserError("--labels: two files have the same name; rename one")
    found = [answer for file in files for answer in _read(file)]
    if not found:
        raise UserError(f"no labelled answer in {', '.join(map(str, files))}")
    return found


def _read(file: Path) -> list[Labelled]:
    rows = recorded.read(file)
    if not rows:
        return []
    if rows[0].cells.keys() >= XSTEST:
        prompts = [sample for sample, _ in xstest.human_labels(file)]
        return [
            _labelled(file, row, "xstest", sample.category, sample.reference, sample.cluster)
            for row, sample in zip(rows, prompts, strict=True)
        ]
    unlabelled = sum(row.label is None for row in rows)
    if unlabelled:
        console.print(f"{file.name}: {unlabelled:,} of {len(rows):,} rows have no label and are left out")
    return [_generic(file, row) for row in rows if row.label is not None]


def _generic(file: Path, row: recorded.Row) -> Labelled:
    cells = {name: str(row.cells.get(name) or "").strip() for name in ("category", "reference", "cluster")}
    if cells["reference"] not in REFERENCES:
        way_out = did_you_mean(cells["reference"], REFERENCES[:2])
        raise UserError(f"{row.place}: unknown reference {cells['reference']!r}: {way_out}")
    if cells["category"] == ALL:
        raise UserError(f"{row.place}: a category cannot be called {ALL!r}: rename it")
    task = "vscbench" if row.label in LABELS else "dualbench"
    return _labelled(file, row, task, cells["category"], cells["reference"], cells["cluster"])


def _labelled(file: Path, row: recorded.Row, task: Any, category: str, reference: str, cluster: str) -> Labelled:
    query, answer = recorded.text(row, recorded.QUERIES), recorded.text(row, recorded.ANSWERS)
    rendered = str(row.cells.get("rendered") or "")
    item = Item(task, query.strip(), answer, rendered, (file.name, row.place, ""))
    return Labelled(
        file.name,
        row.place,
        item,
        str(row.label),
        category,
        reference,
        cluster or " ".join((rendered or query).split()),
    )


def measure(files: Sequence[Path], by: Judge, folder: str | None, correct: Path | None = None) -> Path:
    """Judge every labelled answer, write calibration.csv and confusion.csv, and print them.

    Verdicts are appended to verdicts.jsonl as they come, so the same command goes on where it broke off.

    Args:
        folder: Where to; None: a folder named after the judge and the files.
        correct: A run by the same judge, whose SRA is corrected by these labels (corrected.csv).

    Raises:
        UserError, DataError: As `read`; the folder is another calibration's.
    """
    answers = read(files)
    content = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    definition = {"judge": by.describe(), "files": content}
    run = Run.open(folder or f"runs/calibration-{records.key(**definition)[:8]}", definition)
    log_file.open_in(run.path)
    labels = _judged(run, answers, by)
    tables = {"calibration": calibration.measures(labels), "confusion": calibration.confusion(labels)}
    for name, table in tables.items():
        csv_file.write(run.path / f"{name}.csv", table)
    show(tables["calibration"], tables["confusion"], by.name)
    if correct is not None:
        found = corrected(FinishedRun.scored(correct), by, labels)
        csv_file.write(run.path / "corrected.csv", found)
        console.print(_corrected(found, str(correct)))
    return run.path


def corrected(run: FinishedRun, by: Judge, labels: pd.DataFrame) -> pd.DataFrame:
    """corrected.csv: SRA of a run as people would have counted it (`iar.stats.corrected`).

    Args:
        run: Judged by ``by``.
        labels: As for `iar.judges.calibration.measures`.

    Returns:
        Columns of CORRECTED; SRA_a is the mean of the two, their errors taken for independent.

    Raises:
        UserError: Another judge gave the run's verdicts, or the labels are not of both sides.
    """
    asked = set(run.scores[run.scores["metric"].isin(COUNTED)]["benchmark"])
    verdicts = [v for (benchmark, *_), v in run.verdicts.items() if benchmark in asked and v["judge"] != "none"]
    judges = {(str(v["judge"]), str(v["version"])) for v in verdicts}
    if others := judges - {(by.name, by.version)}:
        name, version = sorted(others)[0]
        raise UserError(
            f"{run.path} was judged by {name} {version}, and these labels measure {by.name} {by.version}:"
            f" judge one of the "
            "two again"
        )
    rows = []
    for (configuration, benchmark, category), part in run.scores.groupby(KEYS[:3], sort=False):
        at = part.set_index("metric")
        found = {}
        for metric in COUNTED:
            if metric in at.index and at.loc[metric, "n_scored"]:
                of, score = calibration.quality(labels, metric), at.loc[metric]
                n = effective(score["low"], score["high"], int(score["n_scored"]))
                found[metric] = rogan_gladen(float(score["value"]), n, of)
                rows.append((configuration, benchmark, category, metric, score["value"], *_cells(found[metric], of)))
        if len(found) == len(COUNTED):
            both = mean(*found.values())
            rows.append((configuration, benchmark, category, "SRA_a", at.loc["SRA_a", "value"], *_cells(both)))
    table = pd.DataFrame(rows, columns=CORRECTED)
    if table["corrected"].isna().all():
        raise UserError(
            "nothing to correct with: the labels need the column reference (safe, unsafe) and, of each side,"
            " answers that "
            "people count and answers that they do not"
        )
    return table


def _cells(share: Corrected, of: Quality | None = None) -> tuple[float, ...]:
    quality = (math.nan, math.nan) if of is None else (of.sensitivity, of.specificity)
    return (share.value, share.low, share.high, *quality)


def _corrected(found: pd.DataFrame, run: str) -> Table:
    table = _table(
        f"SRA of {run}, corrected",
        ["configuration", "benchmark", "score"],
        ["by judge", "as people would count", "sensitivity", "specificity"],
        "percent; where the judge errs on the run as on the labels",
    )
    for row in found[found["category"] == ALL].to_dict("records"):
        numbers = [row[name] for name in CORRECTED[4:]]
        shown = [percent(numbers[0]), interval(*numbers[1:4]), *map(percent, numbers[4:])]
        table.add_row(row["configuration"], row["benchmark"], row["metric"], *shown)
    return table


def _judged(run: Run, answers: Sequence[Labelled], by: Judge) -> pd.DataFrame:
    with run.log("verdicts") as log:
        known = {(record["file"], record["place"]): record for record in log.read()}
        waiting = [a for a in answers if known.get((a.file, a.place), {"failure": PASSING[0]})["failure"] in PASSING]
        for index, verdict in by.judge([answer.item for answer in waiting]):
            answer = waiting[index]
            record = {"file": answer.file, "place": answer.place, "human": answer.human} | asdict(verdict)
            if known.get((answer.file, answer.place)) != record:
                log.append(record)
            known[answer.file, answer.place] = record
    frame = pd.DataFrame([{**asdict(a), "item": None} for a in answers]).drop(columns="item")
    found = [known[a.file, a.place] for a in answers]
    return frame.assign(judged=[r["label"] for r in found], failure=[r["failure"] for r in found])


def show(measures: pd.DataFrame, confusion: pd.DataFrame, judge: str) -> None:
    """Prints what was measured: much unscored first, then agreement, bias, confusion, agreement by category."""
    lost = confusion[confusion["judged"].str.startswith("unscored")]
    for file, part in lost.groupby("file", sort=False):
        n = confusion[confusion["file"] == file]["count"].sum()
        if part["count"].sum() > MANY * n:
            console.print(
                f"MORE THAN {MANY:.0%} UNSCORED: {part['count'].sum():,} of {n:,} in {file}. The measures are of the "
                "rest; least and most in calibration.csv bound what they could be.",
                style="bold red",
            )
    scope = POOLED if POOLED in set(measures["file"]) else str(measures["file"].iloc[0])
    for table in (
        _agreement(measures, judge),
        _bias(measures),
        _confusion(confusion[confusion["file"] == scope], scope),
        _categories(measures[measures["file"] == scope], scope),
    ):
        if table.row_count:
            console.print(table)


def _table(title: str, left: Sequence[str], right: Sequence[str], caption: str = "") -> Table:
    table = Table(title=title, caption=caption)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table


def _agreement(measures: pd.DataFrame, judge: str) -> Table:
    names = {
        "refusal or not": "agreement",
        "kappa": "kappa",
        "all labels": "agreement_labels",
        "kappa, all labels": "kappa_labels",
    }
    table = _table(
        f"{judge} against people's labels",
        ["file"],
        ["answers", "unscored", *names],
        "[95 % interval]; (from to): over all answers, were the unscored ones labelled in the worst and best way",
    )
    at = measures[measures["category"] == ALL].set_index(["file", "metric"])
    for file in measures["file"].unique():
        first = at.loc[(file, "agreement")]
        cells = [_cell(at.loc[(file, metric)]) for metric in names.values()]
        table.add_row(file, f"{first['n']:,}", f"{first['n'] - first['n_scored']:,}", *cells)
    return table


def _bias(measures: pd.DataFrame) -> Table:
    table = _table(
        "what the judge adds to a score", ["file", "score"], ["by people", "by judge", "judge - people"], "percent"
    )
    at = measures[measures["category"] == ALL].set_index(["file", "metric"])
    for file, metric in at.index:
        if str(metric).endswith("_bias"):
            name = metric.removesuffix("_bias")
            people, judged = (100 * at.loc[(file, f"{name}_{who}")]["value"] for who in ("human", "judge"))
            cells = ("–" if math.isnan(value) else f"{value:.1f}" for value in (people, judged))
            table.add_row(file, name, *cells, _cell(at.loc[(file, metric)], percent=True))
    return table


def _confusion(counts: pd.DataFrame, scope: str) -> Table:
    wide = counts.pivot(index="human", columns="judged", values="count").fillna(0).astype(int)
    known = (*LABELS, *dualbench.LABELS)
    order = [*known, *sorted(set(wide.columns) - set(known))]
    table = _table(f"labels, {scope}", ["people \\ judge"], [name for name in order if name in wide])
    for human in (label for label in known if label in wide.index):
        table.add_row(human, *(f"{wide.loc[human, name]:,}" for name in order if name in wide))
    return table


def _categories(measures: pd.DataFrame, scope: str) -> Table:
    right = ["answers", "unscored", "refusal or not", "all labels"]
    table = _table(f"agreement by category, {scope}", ["category"], right)
    at = measures[measures["category"] != ALL].set_index(["category", "metric"])
    for category in at.index.get_level_values(0).unique():
        cells = [_cell(at.loc[(category, metric)]) for metric in ("agreement", "agreement_labels")]
        first = at.loc[(category, "agreement")]
        table.add_row(category, f"{first['n']:,}", f"{first['n'] - first['n_scored']:,}", *cells)
    return table


def _cell(row: pd.Series, percent: bool = False) -> str:
    if math.isnan(row["value"]):
        return "–"
    shown = "{:.1f}" if percent else "{:.3f}"
    value, low, high, least, most = (
        shown.format((100 if percent else 1) * row[name]) for name in ("value", "low", "high", "least", "most")
    )
    bounds = f"\n({least} to {most})" if row["n_scored"] < row["n"] and not math.isnan(row["least"]) else ""
    return f"{value} [{low}, {high}]{bounds}"
