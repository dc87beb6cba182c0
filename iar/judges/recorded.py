"""Labels that are there already, people's or an earlier judge's, as a judge.

A row of a CSV, JSON Lines or JSON file belongs to an answer either by its place (columns ``benchmark``, ``sample``,
``configuration``: a run's own ``verdicts.jsonl`` is such a file) or by its text (``query``, ``prompt`` or ``question``
with ``answer``, ``completion`` or ``response``; blanks do not matter). The label stands in ``label`` or
``final_label``: one of this toolkit's, or a class of VSCBench's or XSTest's judge, so XSTest's own
``xstest_v2_completions_*.csv`` are read as they are. An answer without a row, or with an empty label, is unscored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmark
from benchmark import answer_text, dualbench
from benchmark.labels import read_label
from benchmark.protocol import Task
from benchmark.textfile import read_rows
from iar.errors import UserError, did_you_mean
from iar.judges.judge import Item
from iar.judges.verdict import LABELS, Verdict

NAME, VERSION = "labels", "2"
PLACE = ("benchmark", "sample", "configuration")
QUERIES = ("query", "prompt", "question")
ANSWERS = ("answer", "completion", "response")
COLUMNS = ("label", "final_label")
ALLOWED: dict[Task, tuple[str, ...]] = {
    "vscbench": LABELS,
    "xstest": LABELS,
    "dualbench": (*dualbench.LABELS, *dualbench.APPROXIMATION),
}
_EVERY = tuple(dict.fromkeys((*LABELS, *dualbench.LABELS)))

_Key = tuple[str, ...]  # benchmark, sample, configuration; or query, answer


@dataclass(frozen=True)
class Row:
    """A labelled answer of a file.

    Attributes:
        place: ``FILE, line 3``.
        label: In this toolkit's words; None where the file leaves it empty.
        cells: The whole row.
    """

    place: str
    label: str | None
    cells: dict[str, Any]


class Recorded:
    """Recorded labels as one of the judges.

    Args:
        files: CSV, JSON Lines or JSON.

    Raises:
        UserError: No file, a row that names no answer, a word that is not a label, or two rows for the same answer
            differently.
        DataError: A file cannot be read.
    """

    name, version = NAME, VERSION

    def __init__(self, files: Sequence[str | Path], setting: str = "judge.files") -> None:
        if not files:
            raise UserError(f"recorded labels need their files: {setting}=[FILE.csv]")
        self.digests = {Path(file).name: "" for file in files}
        if len(self.digests) < len(files):
            raise UserError(f"{setting}: two files have the same name; rename one")
        self._rows: dict[_Key, Row] = {}
        for file in map(Path, files):
            for row in read(file):
                self._add(row, _key(row))
            self.digests[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()

    def _add(self, row: Row, key: _Key) -> None:
        before = self._rows.setdefault(key, row)
        if before.label is None:
            self._rows[key] = row
        elif row.label not in (None, before.label):
            raise UserError(
                f"{row.place}: label {row.label!r}, but {before.place} labels the same answer {before.label!r}: "
                "keep one of the two"
            )

    def describe(self) -> dict[str, Any]:
        return {"name": NAME, "version": VERSION, "files": self.digests}

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Verdict]]:
        for index, item in enumerate(items):
            row = self._rows.get(item.place) or self._rows.get(text_key(item.query, item.answer))
            if row is None or row.label is None:
                why = "no row for this answer" if row is None else f"{row.place}: the label is empty"
                yield index, Verdict(None, NAME, VERSION, why, "no label")
                continue
            if row.label not in ALLOWED[item.task]:
                raise UserError(
                    f"{row.place}: {row.label!r} is not a label of {item.place[0] or item.task}: "
                    f"{did_you_mean(row.label, ALLOWED[item.task])}"
                )
            yield index, Verdict(row.label, NAME, VERSION, row.place)


def read(file: Path) -> list[Row]:
    """The labelled rows of a file.

    Raises:
        UserError: No column of labels, or a word that is not a label.
        DataError: The file is missing, empty, not UTF-8 or damaged.
    """
    rows, torn = read_rows(file)
    if torn or not rows:
        raise UserError(f"{file} {'breaks off in its last line' if torn else 'holds no rows'}: write it again")
    return [_row(f"{file}, {place}", cells) for place, cells in rows if not _parsed(cells)]


def _parsed(cells: dict[str, Any]) -> bool:
    """Whether the row is of a benchmark that no judge reads, such as POPE: a run's verdicts hold those too."""
    name = str(cells.get("benchmark", ""))
    return name in benchmark.names() and not benchmark.protocol(name).judged


def _row(place: str, cells: dict[str, Any]) -> Row:
    column = next((name for name in COLUMNS if name in cells), None)
    if column is None:
        raise UserError(
            f"{place}: no column 'label' (it has {', '.join(map(str, cells))}); of several annotators' columns, name "
            "the one that counts 'label'"
        )
    written = str("" if cells[column] is None else cells[column]).strip()
    label = read_label(written, _EVERY) if written else None
    if written and label is None:
        raise UserError(f"{place}: unknown label {written[:40]!r}: {did_you_mean(written.lower(), _EVERY)}")
    return Row(place, label, cells)


def _key(row: Row) -> _Key:
    if {"benchmark", "sample"} <= row.cells.keys():
        if "configuration" not in row.cells:
            raise UserError(
                f"{row.place}: benchmark and sample, but no column 'configuration': a label is of one configuration's "
                "answer (its name, e.g. none)"
            )
        return tuple(str(row.cells[name]) for name in PLACE)
    query, answer = (text(row, names) for names in (QUERIES, ANSWERS))
    return text_key(query, answer)


def text(row: Row, names: Iterable[str]) -> str:
    """The cell of the first of these columns that there is.

    Raises:
        UserError: There is none.
    """
    options = tuple(names)
    found = next((name for name in options if name in row.cells), None)
    if found is None:
        raise UserError(
            f"{row.place}: which answer is labelled? Give the columns benchmark, sample and configuration, or a query "
            f"({', '.join(QUERIES)}) and an answer ({', '.join(ANSWERS)}); it has {', '.join(map(str, row.cells))}"
        )
    return "" if row.cells[found] is None else str(row.cells[found])


def text_key(query: str, answer: str) -> tuple[str, str]:
    """Query and final answer, without differences in blanks and markup."""
    return " ".join(query.split()), " ".join(answer_text.read(answer).text.split())
