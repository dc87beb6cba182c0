"""Where pairs come from: one file format a module, each yielding rows (`iar.pairs.row.Row`) as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from iar.errors import UserError, did_you_mean
from iar.pairs.row import Row
from iar.pairs.sources import manifest, requests, spa_vl, vlguard, xstest

__all__ = ["FORMATS", "rows"]

FORMATS = {
    "manifest": manifest.rows,
    "requests": requests.rows,
    "spa_vl": spa_vl.rows,
    "vlguard": vlguard.rows,
    "xstest": xstest.rows,
}


def rows(settings: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of ``settings.path`` in ``settings.format`` (default ``manifest``), lazily.

    Raises:
        UserError: No path given, unknown format, or what the source raises; at the row where it is found.
    """
    name = str(settings.get("format") or "manifest")
    if name not in FORMATS:
        raise UserError(f"unknown pair format {name!r}: {did_you_mean(name, FORMATS)}")
    if not settings.get("path"):
        raise UserError(f"pairs of format {name} need their file: pairs.path=FILE")
    yield from FORMATS[name](Path(settings["path"]).expanduser(), settings)
