"""From one entry of ``conf/pairs`` to the examples it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from iar.errors import UserError, did_you_mean
from iar.pairs import behaviour, multi_instruction, multi_modality, multi_response, sources
from iar.pairs.example import Example, content, copies
from iar.pairs.row import Row
from iar.pairs.selection import Selection
from iar.terminal.console import console

STRATEGIES = {
    "multi_response": multi_response.examples,
    "multi_instruction": multi_instruction.examples,
    "multi_modality": multi_modality.examples,
    "behaviour": behaviour.examples,
}


def given(
    pairs: str | Path | Sequence[Example | Mapping[str, Any]],
    strategy: str = "multi_response",
    limit: int | None = None,
) -> list[Example]:
    """The examples of pairs as a caller has them.

    Args:
        pairs: A file in the toolkit's own format (`iar.pairs.sources.manifest`), its lines as dicts (an ``id`` is given
            to one that has none, images are relative to the working directory), or examples.
        limit: The first N pairs; None for all.

    Raises:
        UserError: As `read`.
    """
    if isinstance(pairs, (str, Path)):
        return read({"strategy": strategy, "path": Path(pairs), "limit": limit})
    if pairs and all(isinstance(pair, Example) for pair in pairs):
        kept = list(dict.fromkeys(example.pair for example in pairs if isinstance(example, Example)))[:limit]
        return [example for example in pairs if isinstance(example, Example) and example.pair in kept]
    rows = []
    for index, item in enumerate(pairs):
        content = {"id": str(index), **item} if isinstance(item, Mapping) else item
        rows.append(sources.manifest.row(content, Path(), f"pairs[{index}]"))
    return read({"strategy": strategy, "path": "pairs", "limit": limit}, rows)


def read(settings: Mapping[str, Any], rows: Iterable[Row] | None = None) -> list[Example]:
    """The examples of a pair set, in the order of its file; all of them or an error.

    Args:
        settings: ``strategy``, ``path`` and, where they differ from the defaults, ``format`` (``manifest``) and
            ``limit`` (None; else the first N pairs, an unpaired example counting as one), ``leave_out`` and ``only``
            (`iar.pairs.selection`). Further keys are the source's own (``images``, ``cache``, ``subset``,
            ``category``).
        rows: In place of those in the file ``path``, which then only names them.

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
    rows = sources.rows(settings) if rows is None else rows
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
    _check_contrast(found, str(settings["path"]))
    _tell_copies(flat, str(settings["path"]))
    return flat


def _check_contrast(found: Mapping[str, Sequence[Example]], path: str) -> None:
    """Says how many pairs have two sides alike.

    Raises:
        UserError: All have.
    """
    alike = [
        pair for pair, examples in found.items() if len(examples) == 2 and len({content(e)[1:] for e in examples}) == 1
    ]
    if len(alike) == len(found):
        raise UserError(
            f"{path}: the sides of all {len(found)} pairs are identical, so there is no contrast to estimate"
        )
    if alike:
        _tell(
            f"{path}: the sides of {len(alike)} of {len(found)} pairs are identical and contrast nothing, "
            f"first {alike[0]!r}"
        )


def _tell_copies(examples: Sequence[Example], path: str) -> None:
    if found := copies(examples):
        pair, original = next(iter(found.items()))
        total = len({example.pair for example in examples})
        _tell(
            f"{path}: {len(found)} of {total} pairs are copies of others, first {pair!r} of {original!r}; they weigh "
            "in the means, and nothing is held out or measured on them"
        )


@lru_cache(maxsize=256)  # a command reads its pairs several times
def _tell(line: str) -> None:
    console.print(line)


_NEEDS = {
    "multi_response": "each needs a prompt with a safe and an unsafe response",
    "multi_instruction": "each needs a safe or an unsafe prompt",
    "multi_modality": "each needs an unsafe prompt with an image",
    "behaviour": "each needs a refused or an answered prompt",
}
