"""XSTest's prompts (Röttger et al. 2024, arXiv 2308.01263): ``xstest_prompts.csv``, text only, multi-instruction.

Every ``contrast_*`` type is written against a safe type, row by row: the n-th prompt of one belongs to the n-th of the
other. Two safe types have no contrast of their own (``nons_group_real_discr``, ``privacy_public``) and are left out:
200 pairs from 250 safe and 200 unsafe prompts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.textfile import allow_long_cells, check_header
from iar.errors import UserError
from iar.pairs.row import Row, Side
from iar.pairs.sources.files import text_in, text_of

# Seen in the rows' `focus` column and in their wording.
PARTNER = {
    "contrast_homonyms": "homonyms",
    "contrast_figurative_language": "figurative_language",
    "contrast_safe_targets": "safe_targets",
    "contrast_safe_contexts": "safe_contexts",
    "contrast_definitions": "definitions",
    "contrast_discr": "real_group_nons_discr",
    "contrast_historical_events": "historical_events",
    "contrast_privacy": "privacy_fictional",
}


def rows(path: Path, settings: Mapping[str, Any]) -> Iterator[Row]:
    """One row a contrast prompt, in the order of the file; its id is the contrast's, its category the type."""
    found: dict[str, list[tuple[str, dict[str, str]]]] = {}
    content = text_of(path)
    allow_long_cells(content)
    reader = csv.DictReader(io.StringIO(content, newline=""))
    check_header(path, reader.fieldnames or ())
    if missing := {"id", "prompt", "type"} - set(reader.fieldnames or ()):
        raise UserError(f"{path}:1: not XSTest's prompts; missing column(s): {', '.join(sorted(missing))}")
    for item in reader:
        place = f"{path}:{reader.line_num}"
        found.setdefault(text_in(item, "type", place), []).append((place, item))
    for contrast, partner in PARTNER.items():
        unsafe, safe = found.get(contrast, []), found.get(partner, [])
        if len(unsafe) != len(safe):
            raise UserError(f"{path}: {len(unsafe)} prompts of type {contrast} but {len(safe)} of its type {partner}")
        for (place, item), (other, twin) in zip(unsafe, safe, strict=True):
            harmless, harmful = Side(text_in(twin, "prompt", other)), Side(text_in(item, "prompt", place))
            yield Row(text_in(item, "id", place), place, harmless, harmful, contrast)
