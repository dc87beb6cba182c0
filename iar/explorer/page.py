"""The page itself: what the run was as plain HTML, the program, and a content policy that allows nothing else.

Everything that comes from a run is text: the template escapes it, the program sets it with ``textContent``, and the
data stand in base64. The policy names each script by its digest, allows pictures inside the page alone, and nothing is
fetched; a part beside the page is let in as a script of the page's own folder or disk.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from iar.errors import UserError
from iar.explorer import repeat, tables
from iar.explorer.answers import Answers
from iar.explorer.parts import Part
from iar.pipeline.evaluation import unscored
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import sweep_table
from iar.pipeline.results.headlines import Column
from iar.revision.configuration import Configuration
from iar.stats import rule
from iar.stats.cells import MISSING, interval

ASSETS = Path(__file__).parent / "assets"
# One program in one scope: the files follow each other, each uses what stands before it.
SCRIPTS = (
    "dom",
    "data",
    "state",
    "words",
    "figures",
    "frontier",
    "heatmaps",
    "tables",
    "filters",
    "list",
    "sample",
    "main",
)
_MAPS = re.compile(r'document\.getElementById\("([0-9a-f]{64})"\)')
_EMPTY = base64.b64encode(hashlib.sha256(b"").digest()).decode(
    "ascii"
)  # plotly makes an empty style, and fills it later


def render(facts: Mapping[str, Any], token: str, inside: Sequence[Part], beside: str) -> bytes:
    """The page in UTF-8.

    Args:
        facts: As `facts` returns them.
        token: Names the page to its parts.
        inside: Parts that stand in the page.
        beside: Name of the folder of the other parts; "" if there are none.
    """
    style, program, plotly = _style(), _program(), _plotly()
    scripts = [*map(_digest, (program, plotly)), *(["'self'", "file:"] if beside else [])]
    policy = {
        "default-src": ["'none'"],
        "script-src": scripts,
        "style-src-elem": [_digest(style), f"'sha256-{_EMPTY}'"],
        "style-src-attr": ["'unsafe-inline'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    text = environment.get_template("template.html").render(
        **facts,
        policy="; ".join(f"{name} {' '.join(sources)}" for name, sources in policy.items()),
        token=token,
        parts=inside,
        beside=beside,
        style=Markup(style),  # ours, and named by its digest
        program=Markup(program),
        plotly=Markup(plotly),
        maps=_maps(plotly),
    )
    return text.encode("utf-8", "replace")  # a lone surrogate in a setting


def facts(
    run: FinishedRun,
    columns: Sequence[Column],
    answers: Answers,
    best: int | None,
    notes: Sequence[str],
    title: str = "",
    tested: str = "",
) -> dict[str, Any]:
    """What the page says without its program: the run, the recommended point, the second scoring, how to repeat it.

    Args:
        tested: Where the page of the second scoring is, seen from this one; "" if there is none.
    """
    definition, scores, configurations = run.definition, run.scores, run.configurations
    model = definition.get("model", {})
    shown = [index for index in dict.fromkeys((answers.baseline, best)) if index is not None]
    return {
        "title": title or str(model.get("id") or run.path.name),
        "run": str(run.path),
        "split": run.split,
        "kinds": _kinds(configurations),
        "samples": len(answers.samples),
        "benchmarks": dict(Counter(sample.benchmark for sample in answers.samples)),
        "judge": " ".join(str(v) for v in definition.get("judge", {}).values() if isinstance(v, (str, int))),
        "warnings": [text for text in (unscored.warning(scores), sweep_table.partial(scores)) if text],
        "notes": list(notes),
        "best": None if best is None else configurations[best].name,
        "rule": rule.sentence(scores),
        "rows": _rows(scores, [configurations[index].name for index in shown], columns),
        "titles": [column.headline.alone for column in columns],
        "second": _second(run.path / "test", tested),
        "protocols": [name for name in sweep_table.protocols(scores).split(", ") if name],
        "definition": list(_leaves(definition)),
        "commands": repeat.commands(run),
        "ran_with": repeat.logged(run.path)[1],
        "versions": [("iar", _version("iar")), ("plotly.js", get_plotlyjs_version()), ("pandas", pd.__version__)],
    }


def _kinds(configurations: Sequence[Configuration]) -> str:
    names = Counter(
        "random control" if c.control else "steered" if c.steered else "prompted" if c.prompting else "baseline"
        for c in configurations
    )
    plural = {"random control": "random controls"}
    words = [f"{n} {plural.get(name, name) if n > 1 else name}" for name, n in names.items() if name != "baseline"]
    said = ", ".join([*(["the baseline"] if names["baseline"] else []), *words])
    return said[:1].upper() + said[1:]


def _rows(scores: pd.DataFrame, names: Sequence[str], columns: Sequence[Column]) -> list[tuple[str, list[str]]]:
    """Configuration, and of each headline ``95.8 [93.4, 98.1]`` in percent."""
    cells = scores.set_index(["configuration", "benchmark", "category", "metric"])[["value", "low", "high"]]
    found = {key: row for key, row in zip(cells.index, cells.to_numpy(), strict=True)}
    places = [column.place for column in columns]
    return [(name, [_cell(found.get((name, *place))) for place in places]) for name in names]


def _cell(row: Any, sign: str = "") -> str:
    if row is None:
        return MISSING
    value, low, high = (math.nan if number is None else number for number in row)
    return interval(value, low, high, sign)


def _second(folder: Path, tested: str) -> dict[str, Any] | None:
    """The table of the second scoring, a row a score, each configuration's difference to the baseline beside it;
    without rows where it is not finished; None where there is none."""
    if not folder.is_dir():
        return None
    try:
        run = FinishedRun.scored(folder)
    except UserError:
        return {"titles": [], "rows": [], "page": ""}
    columns, changes = tables.headlines(run.scores), tables.changes(run)
    found: list[tuple[str, list[str]]] = []
    for name, cells in _rows(run.scores, [str(name) for name in run.scores["configuration"].unique()], columns):
        found.append((name, cells))
        moved = [changes.get((name, *column.place)) for column in columns]
        if any(moved):
            found.append(("difference", [_cell(change and change[:3], "+") for change in moved]))
    rows = [(column.headline.alone, [cells[at] for _, cells in found]) for at, column in enumerate(columns)]
    return {"titles": [name for name, _ in found], "rows": rows, "page": tested}


def _leaves(value: Any, name: str = "") -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(name, "null" if value is None else str(value))]
    return [leaf for key in value for leaf in _leaves(value[key], f"{name}.{key}" if name else str(key))]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


@cache
def _style() -> str:
    return (ASSETS / "explorer.css").read_text(encoding="utf-8")


@cache
def _program() -> str:
    files = [(ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return '"use strict";\n' + "\n".join(files)


@cache
def _plotly() -> str:
    # A browser reads line ends as \n, and a digest is of what it reads.
    return str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n")


def _maps(plotly: str) -> str:
    """The name under which plotly.js adds the styles of its maps, unless something of that name is there already."""
    found = _MAPS.search(plotly)
    return found[1] if found else "maps"
