"""What hostile files are made of: any JSON value in a place of a valid document, and valid bytes with damage."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from benchmark.errors import DataError
from iar.errors import UserError

bounded = settings(
    max_examples=int(os.environ.get("IAR_FUZZ", "40")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""The same examples each time (IAR_FUZZ=2000: more of them); each overwrites the files of the one before."""

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *("", " ", "\0", "\ud800", "../../x", "/etc/passwd", "x" * 5_000, "=1+1", "\x1b[31m", "\u202e", "NaN"),
            *("٣", "grade9999", "..", "CON", "{0}", "%s", "<image>", "${oc.env:HOME}", "{{ 7 * 7 }}", "a\nb", "\r"),
        ]
    ),
)
scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    st.sampled_from([10**400, -1, 0, 1e308, float("nan"), float("inf")]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
deep = st.sampled_from(
    ["[" * 100_000, '{"a":' * 100_000, "[" * 300 + "]" * 300, '{"id":' * 300 + "1" + "}" * 300, "[[[" * 40 + "]]]" * 40]
)
"""JSON texts too deep to be parsed, and to be walked."""


@st.composite
def changed(draw: Callable[..., Any], document: Any) -> Any:
    """A copy of a JSON document in which one or two places hold any value, or are not there."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(found))
        if not places:
            return draw(values)
        inside, key = draw(st.sampled_from(places))
        if draw(st.integers(0, 5)) == 0:
            del inside[key]
        else:
            inside[key] = draw(values)
    return found


@st.composite
def damaged(draw: Callable[..., Any], content: bytes) -> bytes:
    """Any bytes, or valid ones that break off, have a piece replaced, or stand behind others."""
    kind = draw(st.integers(0, 3))
    piece = draw(st.binary(max_size=12))
    if kind == 0:
        return draw(st.binary(max_size=200))
    at = draw(st.integers(0, len(content)))
    if kind == 1:
        return content[:at]
    if kind == 2:
        return piece + content
    return content[:at] + piece + content[at + len(piece) :]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(inside):
        yield value, key
        yield from _places(item)


def as_json(value: Any) -> str:
    return json.dumps(value)


def as_lines(rows: Any) -> str:
    return "\n".join(json.dumps(row) for row in rows) if isinstance(rows, list) else json.dumps(rows)


def survives(read: Callable[[], Any], *allowed: type[Exception]) -> None:
    """Reading gives a value or one line for the user, and nothing else."""
    try:
        read()
    except (DataError, UserError) as error:
        assert str(error).strip(), "a message that says nothing"
    except allowed:
        pass


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path
