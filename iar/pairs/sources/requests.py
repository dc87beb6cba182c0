"""A list of harmful requests, each with a refusal and an empty compliance drawn from a file: pairs from requests alone.

Requests come as CSV with a header (SafeBench, AdvBench, HarmBench), as JSON Lines or a JSON array (texts, objects, or
manifest lines, whose unsafe sides are taken), or as text, one a line. Responses come as JSON Lines, ``{"safe": ...}``
or ``{"unsafe": ...}`` a line; those that ship are in ``responses.jsonl``. An unsafe response there agrees and goes on,
and holds nothing that anybody could act on: what the contrast needs is the manner, not the matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from benchmark.files import csv_rows
from iar.errors import UserError
from iar.pairs.row import Row, Side
from iar.pairs.sources import manifest
from iar.pairs.sources.files import items_of, text_in, text_of

RESPONSES = Path(__file__).with_name("responses.jsonl")
# Names of columns and keys, in any case; the first that a file has counts.
_REQUEST = ("request", "question", "prompt", "goal", "behavior", "instruction", "text")
_CATEGORY = ("category", "category_name", "semanticcategory", "topic")
_ID = ("id", "behaviorid")


def rows(path: Path, settings: Mapping[str, Any]) -> Iterator[Row]:
    """One row a request, in the order of the file; its id is the file's, else its number from 1.

    Args:
        settings: ``responses`` (a file of one's own), ``seed``. The draw depends on the seed, the request and the
            responses, and on no other request.
    """
    refusals, compliances = responses(Path(settings.get("responses") or RESPONSES).expanduser())
    seed = settings.get("seed") or 0
    for row in _requests(path):
        assert row.unsafe
        prompt, image = row.unsafe.prompt, row.unsafe.image
        rng = Random(f"{seed} {prompt}")
        safe, unsafe = rng.choice(refusals), rng.choice(compliances)
        yield Row(row.id, row.place, Side(prompt, image, safe), Side(prompt, image, unsafe), row.category, row.mode)


def responses(path: Path) -> tuple[list[str], list[str]]:
    """The safe and the unsafe responses of a file, both not empty.

    Raises:
        UserError: It is missing, has other lines, or lacks a side.
    """
    found: dict[str, list[str]] = {"safe": [], "unsafe": []}
    for place, item in items_of(path):
        if not isinstance(item, dict) or not item or not set(item) <= set(found):
            raise UserError(f'{place}: not a response; expected {{"safe": text}} or {{"unsafe": text}} a line')
        for side in item:
            found[side].append(text_in(item, side, place))
    for side, texts in found.items():
        if not texts:
            raise UserError(f"{path} has no {side} response: pairs.responses=FILE needs both sides")
    return found["safe"], found["unsafe"]


def _requests(path: Path) -> Iterator[Row]:
    """Rows that have an unsafe side only."""
    kind = path.suffix.lower()
    if kind == ".csv":
        text_of(path)  # a missing file is named as one of pairs
        items: list[tuple[str, Any]] = list(csv_rows(path, (), "one request a row, in a column named request"))
    elif kind in (".jsonl", ".json"):
        items = items_of(path)
    else:
        lines = enumerate(text_of(path).splitlines(), start=1)
        items = [(f"{path}:{number}", line.strip()) for number, line in lines if line.strip()]
    for number, (place, item) in enumerate(items, start=1):
        if isinstance(item, dict) and any(isinstance(item.get(side), dict) for side in ("safe", "unsafe")):
            row = manifest.row(item, path.parent, place)
            if row.unsafe is not None:
                yield row
        else:
            yield _request(item if isinstance(item, dict) else {"request": item}, str(number), place)


def _request(item: Mapping[str, Any], number: str, place: str) -> Row:
    names = {str(name).strip().lower(): name for name in item}
    column = next((names[name] for name in _REQUEST if name in names), None)
    if column is None:
        raise UserError(
            f"{place}: not a request; it needs one of {', '.join(_REQUEST)} and has {', '.join(map(str, item))}"
        )
    name, category = (next((item[names[n]] for n in known if n in names), None) for known in (_ID, _CATEGORY))
    prompt = text_in(item, column, place).strip()
    return Row(str(name or number), place, None, Side(prompt), str(category or ""))
