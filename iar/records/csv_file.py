"""Tables as CSV files, written in one move: the same table gives the same bytes, and no cell is a formula.

A cell of text that a spreadsheet would compute gets an apostrophe in front (`benchmark.inert.cell`), which reading
takes away again; numbers are written as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.inert import cell, uncell
from iar.records import text_file

SMALL = "%.6g"
"""Digits of tables with p-values, which are small."""
NUMBERS = ("value", "low", "high", "n", "n_scored", "difference", "p", "p_holm", "front_share", "hypervolume")
"""Columns that hold numbers in whichever table they stand."""


def write(file: Path, table: pd.DataFrame, digits: str = "%.6f") -> Path:
    """The table without its index.

    Args:
        digits: How numbers with fractions are written.

    Raises:
        UserError: The file cannot be written; what was there is untouched.
    """
    return text_file.write(file, text(table, digits))


def text(table: pd.DataFrame, digits: str = "%.6f") -> str:
    """The same as a text."""
    written = table.rename(columns=lambda name: cell(str(name)))
    for place, kind in enumerate(table.dtypes):
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)):
            column = written.iloc[:, place].map(lambda value: cell(value) if isinstance(value, str) else value)
            written.isetitem(place, column)
    found: str = written.to_csv(index=False, float_format=digits)
    return found


def read(file: Path, texts: Sequence[str] = ()) -> pd.DataFrame:
    """A table that `write` wrote, as rounded in the file; an empty cell is NaN, whatever else a text says.

    Args:
        texts: Columns of names that may look like numbers.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such table.
    """
    table = pd.read_csv(file, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=[""])
    for place, name in enumerate(table.columns):
        if pd.api.types.is_numeric_dtype(table.dtypes.iloc[place]):
            continue
        if name in NUMBERS and not table[name].isna().all():
            raise ValueError(f"column {name} holds text")
        column = table.iloc[:, place].map(lambda value: uncell(value) if isinstance(value, str) else value)
        table.isetitem(place, column)
    return table.rename(columns=lambda name: uncell(str(name)))
