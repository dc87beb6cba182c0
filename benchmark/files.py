"""Reads the files that benchmarks come as; what is wrong with one is one line: the file, the place, the way out."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import DataError, did_you_mean
from benchmark.sample import Sample
from benchmark.textfile import allow_long_cells, check_header, not_csv, read_text
from benchmark.untrusted import parse_json, without_repeats


def find(root: Path, places: Sequence[str], way_out: str) -> Path:
    """The first of several places below a folder that is there.

    Raises:
        DataError: None of them is.
    """
    for place in places:
        if (root / place).exists():
            return root / place
    raise DataError(f"no {places[0]} in {root}: {way_out}")


def image(root: Path, folders: Sequence[str], name: str) -> Path:
    """The image file in the first of several folders that has it; where none has, its place in the first."""
    places = [root / folder / name for folder in folders]
    return next((place for place in places if os.path.isfile(place)), places[0])


def require_images(samples: Iterable[Sample], root: Path, way_out: str) -> None:
    """Stops a run whose images were never unpacked; single missing ones are left to ``images.sort_out``.

    Raises:
        DataError: There are samples with images, and not one image file.
    """
    paths = [path for sample in samples for path in sample.images]
    if paths and not any(map(os.path.isfile, paths)):
        raise DataError(f"none of the {len(set(paths)):,} images is in {root} (such as {paths[0]}): {way_out}")


def text(path: Path, way_out: str) -> str:
    """A file's text, line ends as they are.

    Raises:
        DataError: No such file, an empty one, or not UTF-8.
    """
    if not path.is_file():
        raise DataError(f"no {path.name} in {path.parent}: {way_out}")
    return read_text(path)


def csv_rows(path: Path, columns: Sequence[str], way_out: str) -> list[tuple[str, dict[str, str]]]:
    """Every row of a CSV file with a header, as (place, cells). Cells are never turned into numbers or NaN.

    Raises:
        DataError: Not such a file, a column is missing, a row has fewer or more cells than the header, or no row.
    """
    content = text(path, way_out)
    allow_long_cells(content)
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    rows = []
    try:
        header = reader.fieldnames or ()
        check_header(path, header)
        if missing := [column for column in columns if column not in header]:
            raise DataError(f"{path} has no column {missing[0]!r}: {did_you_mean(missing[0], header)}")
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"{place}: not {len(header)} cells as in the header, a torn row: {way_out}")
            rows.append((place, row))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {not_csv(error)}: {way_out}") from error
    if not rows:
        raise DataError(f"{path} has no rows: {way_out}")
    return rows


def json_content(path: Path, kind: type, way_out: str) -> Any:
    """What a JSON file holds, a ``list`` or a ``dict``; a key that occurs twice in one object is an error.

    Raises:
        DataError: Not such a file.
    """
    content = _parse(text(path, way_out), str(path), way_out)
    if not isinstance(content, kind):
        raise DataError(f"{path} is not a JSON {'array' if kind is list else 'object'}: {way_out}")
    return content


def json_rows(path: Path, way_out: str) -> list[tuple[str, dict[str, Any]]]:
    """Every object of a JSON Lines file, as (place, object); empty lines are passed over.

    Raises:
        DataError: Not such a file, or it has no rows.
    """
    rows = []
    for number, line in enumerate(text(path, way_out).split("\n"), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            row = _parse(line, place, way_out)
            if not isinstance(row, dict):
                raise DataError(f"{place}: not a JSON object: {way_out}")
            rows.append((place, row))
    if not rows:
        raise DataError(f"{path} has no rows: {way_out}")
    return rows


def _parse(content: str, place: str, way_out: str) -> Any:
    try:
        return parse_json(content, without_repeats)
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error}): {way_out}") from error


def unique(ids: Iterable[tuple[str, str]], what: str) -> None:
    """Raises where an id, given as (place, id), occurs a second time.

    Raises:
        DataError: It does; names both places.
    """
    seen: dict[str, str] = {}
    for place, name in ids:
        if name in seen:
            raise DataError(f"{place}: {what} {name!r} occurs twice, first at {seen[name]}: keep one")
        seen[name] = place
