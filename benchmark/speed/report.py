"""Results as lines to read, as a Markdown table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmark.errors import DataError
from benchmark.speed.figure import Ratio, Result
from benchmark.speed.registry import FIGURES


def lines(result: Result) -> Iterator[str]:
    """One figure to read."""
    yield f"{result.name}: {FIGURES[result.name].title}"
    if result.skipped:
        yield f"  NOT MEASURED: {result.skipped}"
        return
    if result.exact is False:
        yield "  INVALID: the answers differ, so the times mean nothing"
    for ratio in result.ratios:
        yield f"  {ratio.what}: {number(ratio)}{_verdict(result, ratio)}"
    for lane, seconds in result.lanes.items():
        yield f"    {lane}: " + ", ".join(f"{value:.3g} s" for value in seconds)
    for line in (result.checked, *result.limits, *result.notes):
        if line:
            yield f"  {line}"
    for peer, told in result.peers.items():
        yield f"  {peer}: {told}"


def number(ratio: Ratio) -> str:
    """The median with its least and greatest."""
    low, middle, high = (_digits(value) for value in (min(ratio.values), ratio.middle, max(ratio.values)))
    return f"{middle}{ratio.unit}" + (f" ({low}–{high})" if len(ratio.values) > 1 else "")


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _verdict(result: Result, ratio: Ratio) -> str:
    if ratio.target is None:
        return ""
    said = "INVALID" if result.exact is False else "reached" if ratio.reached else "MISSED"
    return f"   must be {ratio.sense} {ratio.target:g}: {said}"


def markdown(results: Sequence[Result], machine: str) -> str:
    """The table for docs/results.md, and under it what it was measured with."""
    rows = ["| figure | measured | median (least–most) | must reach | |", "|---|---|---|---|---|"]
    rest = []
    for result in results:
        title = FIGURES[result.name].title
        if result.skipped:
            rows.append(f"| `{result.name}`: {title} | | not measured: {result.skipped} | | |")
            continue
        for index, ratio in enumerate(result.ratios):
            target = "" if ratio.target is None else f"{ratio.sense} {ratio.target:g}"
            verdict = (
                "INVALID" if result.exact is False else {True: "reached", False: "missed", None: ""}[ratio.reached]
            )
            figure = f"`{result.name}`: {title}" if not index else ""
            rows.append(f"| {figure} | {ratio.what} | {number(ratio)} | {target} | {verdict} |")
        told = [result.checked, *result.limits, *result.notes, *(f"{peer}: {t}" for peer, t in result.peers.items())]
        rest.append(f"- `{result.name}`: " + "; ".join(line for line in told if line) + ".")
    return "\n".join([*rows, "", f"On {machine}.", "", *rest])


def write(path: Path, results: Sequence[Result], machine: str, settings: Mapping[str, object]) -> None:
    """Everything that was measured.

    Raises:
        DataError: It cannot be written.
    """
    found = {"machine": machine, "settings": dict(settings), "figures": [result.as_json() for result in results]}
    try:
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; give another file as --json") from error
