"""Families of samples from a file beside a benchmark's data: ``families.csv`` with the columns ``id`` and ``family``.

A family is the coarser group that samples are drawn from: nine hazards, ten kinds of harm. Intervals clustered on it
say how much other hazards would change, where those clustered on pictures say how much other pictures would. Several
benchmarks name families by themselves (``benchmark.sample.Sample.family``); the file is for other ones.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmark import files
from benchmark.errors import DataError
from benchmark.sample import Loaded

NAME = "families.csv"
_COLUMNS = ("id", "family")


def assign(loaded: Loaded, root: Path) -> Loaded:
    """The samples with the families of the file in ``root``; as they are where there is none.

    Raises:
        DataError: The file lacks a column, names a sample twice, or none of these samples.
    """
    path = root / NAME
    if not path.is_file():
        return loaded
    rows = files.csv_rows(path, _COLUMNS, "it has the columns id and family")
    files.unique(((place, row["id"]) for place, row in rows), "id")
    found = {row["id"]: row["family"].strip() for _, row in rows}
    samples = tuple(replace(s, family=found[s.id]) if s.id in found else s for s in loaded.samples)
    if loaded.samples and not any(sample.id in found for sample in samples):
        raise DataError(f"{path} names none of the samples: its ids are such as {loaded.samples[0].id!r}")
    return Loaded(samples, loaded.unasked)


def write(root: Path, found: Mapping[str, str]) -> None:
    """Sample id -> family, as `assign` reads it."""
    with (root / NAME).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(found.items())
