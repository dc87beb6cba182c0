"""Puts a run together to one page, and what does not fit into files beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.errors import DataError
from iar.errors import UserError
from iar.explorer import page, parts, tables
from iar.explorer.answers import Answers
from iar.explorer.images import data_uri
from iar.explorer.parts import Part
from iar.explorer.questions import asked
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.plots.heatmap import EVEN, FULL
from iar.plots.style import CHANGES
from iar.records import text_file
from iar.stats import frontier_points, rule
from iar.terminal.console import console

NAME, TEST = "report.html", "test"
LIMIT = 10_000_000  # bytes of the page
IMAGES = 1_500_000  # bytes of a part of images


def write(
    folder: Path,
    out: Path | None = None,
    *,
    data: Path | None = None,
    images: bool = True,
    limit: int = LIMIT,
    title: str = "",
) -> list[Path]:
    """The page of a finished run; the same files give the same bytes.

    Args:
        out: Where; ``report.html`` in the run folder by default, with one in the folder ``test`` where that was scored.
            What does not fit is in ``report_files`` beside it.
        data: Folder of the questions of the run's split, where they are not found by themselves.
        images: Whether they are shown.
        limit: Bytes that the page may have, if its program and tables leave room. Answers go in first, then images.
        title: Instead of the model's name.

    Returns:
        The page, and the folder beside it if there is one; the same of the test split.

    Raises:
        UserError: No finished run there, or the page cannot be written.
    """
    file = out or folder / NAME
    run = FinishedRun.scored(folder)
    tested = _tested(folder / TEST, images, limit, title) if out is None else []
    scores, configurations = run.scores, run.configurations
    with asked(run, data) as questions, console.status(f"writing {file}"):
        answers = Answers.of(run, questions)
        pictures = _images(answers, questions.outside) if images else Pictures({}, [], 0, 0)
        shown = tables.headlines(scores)
        star = rule.starred(scores, configurations, run.split)
        best = next((index for index, c in enumerate(configurations) if c.name == star), None)
        points = frontier_points(scores, configurations)
        core = {
            "columns": tables.described(shown),
            "configurations": tables.configurations(run, shown),
            "lines": tables.lines(configurations),
            "categories": tables.categories(scores, configurations, shown),
            "baseline": answers.baseline,
            "recommended": best,
            "change": {"colours": CHANGES, "even": EVEN, "full": FULL},
            "why": [text for text in (rule.sentence(scores), rule.off_front(points, scores, star)) if text],
            "samples": answers.table(pictures.numbers),
            "codes": [answers.codes(index) for index in range(len(configurations))],
            "images": [[part, len(uris)] for part, uris in enumerate(pictures.parts)],
            "asked": images,
        }
        first = [index for index in (answers.baseline, best) if index is not None]
        order = dict.fromkeys([*first, *range(len(configurations))])
        packed = [parts.pack("core", core)]
        packed += [parts.pack(f"answers{index}", answers.part(index)) for index in order]
        packed += [parts.pack(f"images{number}", uris) for number, uris in enumerate(pictures.parts)]
    notes = [*questions.notes, *_lost(pictures, images)]
    facts = page.facts(run, shown, answers, best, notes, title, f"{TEST}/{NAME}" if tested else "")
    return [*_written(file, facts, packed, limit), *tested]


def _tested(folder: Path, images: bool, limit: int, title: str) -> list[Path]:
    """The page of the second scoring; none where there is no such run, or its questions are gone."""
    try:
        return write(folder, images=images, limit=limit, title=title) if (folder / "scores.csv").is_file() else []
    except (UserError, DataError) as error:
        console.print(f"no {folder / NAME}: {error}")
        return []


class Pictures(NamedTuple):
    """Path -> number of its picture (none if it cannot be read), the pictures in parts, how many are missing, and how
    many lie outside the data."""

    numbers: dict[str, list[int]]
    parts: list[list[str]]
    missing: int
    outside: int


def _images(answers: Answers, outside: Container[Path]) -> Pictures:
    """The pictures of the samples, each once however many samples and files hold it, in parts of 1.5 MB."""
    paths = dict.fromkeys(path for sample in answers.samples for path in sample.images)
    numbers: dict[str, list[int]] = {}
    seen: dict[str, int] = {}
    found: list[list[str]] = []
    room = missing = left_out = 0
    for path in paths:
        if path in outside:
            numbers[str(path)], left_out = [], left_out + 1
            continue
        uri = data_uri(path)
        if uri is None:
            numbers[str(path)], missing = [], missing + 1
            continue
        if uri not in seen:
            if not found or room < len(uri):
                found.append([])
                room = IMAGES
            seen[uri] = len(seen)
            found[-1].append(uri)
            room -= len(uri)
        numbers[str(path)] = [seen[uri]]
    return Pictures(numbers, found, missing, left_out)


def _lost(shown: Pictures, images: bool) -> list[str]:
    if not images:
        return ["Written without images (--no-images)."]
    notes = []
    if shown.missing:
        notes.append(f"{shown.missing:,} images are missing or cannot be read: give --data DIR, the folder with them.")
    if shown.outside:
        notes.append(f"{shown.outside:,} images lie outside of their data folder and are not shown.")
    return notes


def _written(file: Path, facts: Mapping[str, Any], packed: Sequence[Part], limit: int) -> list[Path]:
    token = hashlib.sha256("\n".join(part.packed for part in packed).encode("ascii")).hexdigest()[:16]
    room = limit - len(page.render(facts, token, [], "-"))
    inside, beside = parts.divide(packed, room - 100 * len(packed))  # each has a tag around it
    folder = file.with_name(f"{file.stem}_files")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files = parts.write(folder, token, beside)
        text = page.render(facts, token, inside, folder.name if files else "")
        with text_file.replacing(file) as partial:
            partial.write_bytes(text)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror or error}; choose another place (--out FILE)") from error
    return [file, *([folder] if files else [])]
