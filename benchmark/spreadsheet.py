"""The first sheet of an xlsx file as text, or one line that says what is wrong with it; nothing in it is computed.

An xlsx is a zip of XML: its sizes are looked at before it is unpacked. A cell with a formula has no text of its own,
nor has one with an error: both are refused by name, where they would else count as empty.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import DataError, did_you_mean

UNPACKED = 1 << 28
"""Bytes that the parts of a file may unpack to; VSCBench's larger file takes 2 MB."""


def rows(path: Path, columns: Sequence[str], way_out: str) -> list[dict[str, str]]:
    """The named columns of every row below the header, an empty cell as ``""``; other columns are ignored.

    Raises:
        DataError: Not an xlsx file, damaged or encrypted; no rows; a column is missing or there twice; a cell of a
            named column holds a formula or an error.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
        if size > UNPACKED:
            raise DataError(f"{path} unpacks to {size:,} bytes, more than {UNPACKED:,}: {way_out}")
        table = _cells(path)
    except DataError:
        raise
    except Exception as error:  # openpyxl reads what it finds: damaged bytes raise whatever they lead to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} is not a readable xlsx, or is encrypted ({reason}): {way_out}") from error
    if len(table) < 2:
        raise DataError(f"{path} has no rows: {way_out}")
    header = [_text(cell) for cell in table[0]]
    for column in columns:
        if header.count(column) != 1:
            wrong = f"no column {column!r}: {did_you_mean(column, header)}"
            raise DataError(f"{path} has {f'{header.count(column)} columns {column!r}' if column in header else wrong}")
    places = {column: header.index(column) for column in columns}
    found = []
    for cells in table[1:]:
        row = {}
        for column, place in places.items():
            cell: Any = cells[place] if place < len(cells) else None
            if getattr(cell, "data_type", "") in ("f", "e"):
                kind = "a formula" if cell.data_type == "f" else f"the error {cell.value}"
                raise DataError(f"{path}, cell {cell.coordinate}: {kind}, not text: save the values and try again")
            row[column] = _text(cell)
        found.append(row)
    return found


def _cells(path: Path) -> list[tuple[Any, ...]]:
    """The rows of the first sheet up to the last that is not empty."""
    import openpyxl  # a third of a second, for one benchmark

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles that openpyxl does not know
        book = openpyxl.load_workbook(path, read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its own size need not be true
        table = list(sheet.iter_rows())
        book.close()
    while table and all(cell.value is None for cell in table[-1]):
        table.pop()
    return table


def _text(cell: Any) -> str:
    value = None if cell is None else cell.value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)
