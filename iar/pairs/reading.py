"""From one entry of ``conf/pairs`` to the examples it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iar.errors import UserError, did_you_mean
from iar.pairs import behaviour, multi_instruction, multi_modality, multi_response, sources
from iar.pairs.example import Example
from iar.pairs.selection import Selection

STRATEGIES = {
    "multi_response": multi_response.examples,
    "multi_instruction": multi_instruction.examples,
    "multi_modality": multi_modality.examples,
    "behaviour": behaviour.examples,
}


def read(settings: Mapping[str, Any]) -> list[Example]:
    """The examples of a pair set, in the order of its file; all of them or an error.

    Args:
        settings: ``strategy``, ``path`` and, where they differ from the defaults, ``format`` (``manifest``) and
            ``limit`` (None; else the first N pairs, an unpaired example counting as one), ``leave_out`` and ``only``
            (`iar.pairs.selection`). Further keys are the source's own (``images``, ``cache``, ``subset``,
            ``category``).

    Raises:
        UserError: Unknown strategy or format; a file or an image is missing; a row is broken or does not fit the
            strategy; one side has no examples; a category or mode that is not there. One line that names the file
            and the row.
    """
    strategy, limit, selection = str(settings["strategy"]), settings.get("limit"), Selection.of(settings)
    if strategy not in STRATEGIES:
        raise UserError(f"unknown pair strategy {strategy!r}: {did_you_mean(strategy, STRATEGIES)}")
    found: dict[str, list[Example]] = {}
    seen = set()
    rows = sources.rows(settings)
    for row in selection.rows(list(rows), str(settings["path"])) if selection else rows:
        if row.id in seen:
            raise UserError(f"{row.place}: id {row.id!r} appears twice; ids must be unique")
        seen.add(row.id)
        if examples := STRATEGIES[strategy](row):
            found[row.id] = examples
        if limit is not None and len(found) >= limit:
            break
    flat = [example for examples in found.values() for example in examples]
    if not flat:
        chosen = f" with {selection}" if selection else ""
        raise UserError(f"{settings['path']} holds no pairs for strategy {strategy}{chosen}: {_NEEDS[strategy]}")
    for safe, name in ((True, "safe"), (False, "unsafe")):
        if not any(example.safe is safe for example in flat):
            raise UserError(
                f"{settings['path']} has no {name} side among its first {len(found)} pairs: give both sides"
            )
    return flat


_NEEDS = {
    "multi_response": "each needs a prompt with a safe and an unsafe response",
    "multi_instruction": "each needs a safe or an unsafe prompt",
    "multi_modality": "each needs an unsafe prompt with an image",
    "behaviour": "each needs a refused or an answered prompt",
}
