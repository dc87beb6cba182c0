"""What pages tell the reader to run: the commands in their code blocks, and what Hydra makes of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from iar.revision.methods import Method

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = (
    "extract",
    "sweep",
    "check",
    "evaluate",
    "analyze",
    "collect",
    "audit",
    "judge",
)  # commands with Hydra settings

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", flags=re.M | re.S)


class Block(NamedTuple):
    """A fenced code block of a page."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(found[2], found[3]) for found in _FENCE.finditer(page.read_text(encoding="utf-8"))]


def example_method() -> Method:
    """The row of the worked example of docs/extending.md."""
    from iar.revision import methods

    (text,) = (block.text for block in blocks(ROOT / "docs/extending.md") if block.text.startswith("Method("))
    row = eval(text, vars(methods))
    assert isinstance(row, methods.Method)
    return row


def commands(page: Path, indented: bool = True) -> list[str]:
    """Every command line of its bash blocks (and of its indented blocks), without comments, in one line each."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(page) if block.language == "bash" for line in _joined(block.text)]
    if indented:
        rest = _joined(_FENCE.sub("", text))
        lines += [line[4:] for line in rest if line.startswith("    python -m ")]
    found = (" ".join(line.partition(" #")[0].split()) for line in lines)
    return [line for line in found if line and not line.startswith("#")]


def _joined(text: str) -> Iterator[str]:
    yield from re.sub(r"\\\n\s*", " ", text).splitlines()


def module_of(command: str) -> tuple[str, list[str]] | None:
    """Module and arguments of ``python -m MODULE …``; None for any other command. An ellipsis is left out."""
    words = [word for word in shlex.split(command) if word != "…"]
    if words[:2] != ["python", "-m"]:
        return None
    return words[2], words[3:]


def overrides(config: str, arguments: list[str]) -> list[list[str]]:
    """The settings among a command's arguments, those of its recipe too, as Hydra composes one job after the other.

    Of several values of several settings the n-th stand together: every value occurs, not every combination.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from iar.cli.command import _with_recipes

    given = [a for a in arguments if re.match(r"[+~]{0,2}[\w./@-]+=", a)]
    if config == "audit":  # `iar.audit` quotes lists of NAME=FOLDER, and gives models their settings itself
        from iar.pipeline.audit.models import quoted

        given = [quoted(a) for a in given if not a.startswith("model.")]
    jobs = []
    for grid in _with_recipes(given):
        parsed = OverridesParser.create().parse_overrides(grid)
        values = [
            list(o.sweep_string_iterator()) if o.is_sweep_override() else [o.get_value_element_as_str()] for o in parsed
        ]
        for number in range(max((len(v) for v in values), default=1)):
            keys = (o.get_key_element() for o in parsed)
            jobs.append([f"{key}={v[min(number, len(v) - 1)]}" for key, v in zip(keys, values, strict=True)])
    return jobs
