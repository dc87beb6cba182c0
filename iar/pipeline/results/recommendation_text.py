"""A recommendation in words, as two tables, and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.table import Table

from iar.pipeline.results.recommendation import SEED, Recommendation
from iar.stats import rule
from iar.stats.cells import percent
from iar.stats.rule import EDGE, Limits
from iar.stats.selection import Draws, Selection
from iar.terminal.console import console

RUNNERS_UP = 5  # rows of the first table beside the baseline and the recommended one
SURE, FAIRLY = 0.9, 0.6  # share of the draws
CAPTION = (
    "percent (points to the baseline); chosen, within: share of the draws in which it is chosen, keeps to the limits"
)


def show(found: Recommendation) -> None:
    """Prints what is chosen and what might have been, the best of each method, and what that means."""
    draws, selection = found.draws, found.selection
    titles = [metric.title for metric in draws.metrics]
    table = Table(title=f"{found.folder}: {rule.told(draws.metrics, found.limits)}", caption=CAPTION)
    table.add_column("configuration", no_wrap=True)
    for title in (*titles, "chosen", "within"):
        table.add_column(title, justify="right")
    table.add_column("")
    for at in _shown(selection):
        cells = _cells(draws, at)
        shares = (_percent(selection.chosen_share[at]), _percent(selection.within_share[at]))
        table.add_row(draws.candidates[at], *cells, *shares, "★" if at and at == selection.chosen else "")
    console.print(table)
    if len(found.families) > 1:
        console.print(_by_method(found, titles))
    for sentence in sentences(found):
        console.print(sentence)


def _shown(selection: Selection) -> list[int]:
    """The baseline, the chosen one (or the nearest), and those that the draws choose most often."""
    first = [0, selection.chosen or selection.nearest]
    often = [int(i) for i in np.argsort(-selection.chosen_share, kind="stable") if selection.chosen_share[i] > 0]
    return list(dict.fromkeys([*first, *[i for i in often if i not in first][:RUNNERS_UP]]))


def _by_method(found: Recommendation, titles: list[str]) -> Table:
    caption = f"each method by itself; expected: {titles[0]} on other questions, in points to the baseline"
    table = Table(title="The best of each method", caption=caption)
    table.add_column("method")
    table.add_column("configuration", no_wrap=True)
    for title in (*titles, "chosen", "within", "expected"):
        table.add_column(title, justify="right")
    table.add_column("")
    for family, (draws, selection) in found.families.items():
        at = selection.chosen or selection.nearest
        shares = (_percent(selection.chosen_share[at]), _percent(selection.within_share[at]))
        expected = _points(selection.expected[0]) if selection.chosen else "–"
        remark = "" if selection.chosen else "no safer" if selection.within[1:].any() else "outside"
        table.add_row(family, draws.candidates[at], *_cells(draws, at), *shares, expected, remark)
    return table


def _cells(draws: Draws, at: int) -> list[str]:
    return [
        percent(score) + (f" ({_points(score - base)})" if at and not math.isnan(score) else "")
        for score, base in zip(draws.estimate[at], draws.estimate[0], strict=True)
    ]


def sentences(found: Recommendation) -> list[str]:
    """What is recommended or why nothing is, how sure that is, and what to expect of it elsewhere."""
    selection = found.selection
    said = [_changes(found)] if found.name else _nothing(found)
    said.append(_sureness(found))
    if found.name and not math.isnan(selection.expected[0]):
        said += _elsewhere(found)
    if found.kinds is not None:
        said.append(_kinds(found, *found.kinds))
    if found.starred not in (None, found.name or "none"):
        told = rule.told(found.draws.metrics, Limits())
        said.append(f"The sweep's ★ is {found.starred}, with the limits of no option: {told}.")
    if found.not_asked:
        said.append("Helpfulness was not asked, so it has no limit.")
    return said


def _changes(found: Recommendation) -> str:
    at = found.selection.chosen
    cells = zip(found.draws.metrics, _cells(found.draws, at), strict=True)
    return f"Recommended: {found.name}, with " + ", ".join(f"{metric.title} {cell}" for metric, cell in cells) + "."


def _sureness(found: Recommendation) -> str:
    draws, selection = found.draws, found.selection
    share, within = selection.chosen_share[selection.chosen], selection.within_share[selection.chosen]
    order = [i for i in np.argsort(-selection.chosen_share, kind="stable") if i != selection.chosen]
    others = ", ".join(
        f"{draws.candidates[i] if i else 'nothing'} ({_percent(selection.chosen_share[i])})"
        for i in order[:3]
        if selection.chosen_share[i] > 0
    )
    sure = "sure" if share >= SURE else "fairly sure" if share >= FAIRLY else "not sure"
    drawn = f"of {len(draws.inside):,} times that the questions were drawn anew"
    what = f"it is the choice in {_percent(share)} {drawn}" if found.name else f"so it is in {_percent(share)} {drawn}"
    kept = f", and keeps to the limits in {_percent(within)}" if found.name else ""
    return f"That is {sure}: {what}{kept}" + (f"; otherwise it is {others}." if others else ".")


def _kinds(found: Recommendation, count: int, selection: Selection) -> str:
    """Whether the choice depends on a kind of question, and what it is worth on a kind that had no say in it."""
    times = round(selection.chosen_share[found.selection.chosen] * count)
    titles = [metric.title for metric in found.draws.metrics]
    pairs = (f"{t} {_points(e)}" for t, e in zip(titles, selection.expected, strict=True) if not math.isnan(e))
    name = found.name or "nothing"
    return (
        f"With each of the {count} kinds of questions left out in turn, the choice is {name} {times} times; "
        f"on the kinds left out the choices have {', '.join(pairs)} points on average."
    )


def _elsewhere(found: Recommendation) -> Iterator[str]:
    """What the winner's curse takes back, and which limit that breaks."""
    draws, gain, expected = found.draws, found.selection.gain, found.selection.expected
    titles = [metric.title for metric in draws.metrics]
    pairs = (f"{t} {_points(e)} ({_points(g)} here)" for t, e, g in zip(titles, expected, gain, strict=True))
    luck = (f"{t} {_points(o)}" for t, o in zip(titles, found.selection.optimism, strict=True))
    yield (
        f"Chosen anew on a draw and scored on the questions left out, whichever it then is has {', '.join(pairs)} "
        f"points on average: expect that. On the draw itself it looks better, by {', '.join(luck)}: the optimism of "
        "choosing."
    )
    losses = found.limits.losses(draws.metrics)
    broken = [titles[index] for index, loss in losses.items() if expected[index] < -loss - EDGE]
    if broken:
        margin = "" if found.limits.sure else "take a margin (--sure 90) or "
        yield f"Elsewhere {' and '.join(broken)} would miss the limit: {margin}ask more questions."


def _nothing(found: Recommendation) -> list[str]:
    draws, selection, goal = found.draws, found.selection, found.draws.metrics[0].title
    if inside := int(selection.within[1:].sum()):
        which = "1 configuration keeps" if inside == 1 else f"{inside} configurations keep"
        return [f"Nothing to recommend: {which} to the limits, and none raises {goal} above the baseline's."]
    at = selection.nearest
    missed = "; ".join(_missed(found.limits, draws, at))
    gain = _points(draws.estimate[at, 0] - draws.estimate[0, 0])
    if not missed:
        sure = _percent(found.limits.sure)
        return [
            f"Nothing to recommend: no configuration keeps to the limits in {sure} of the draws.",
            f"The nearest is {draws.candidates[at]} ({goal} {gain}), which keeps to them as the questions are: "
            "ask more questions, or be less sure (--sure).",
        ]
    return [
        "Nothing to recommend: no configuration keeps to the limits.",
        f"The nearest is {draws.candidates[at]} ({goal} {gain}): {missed}.",
    ]


def _missed(limits: Limits, draws: Draws, at: int) -> Iterator[str]:
    """Each limit that a configuration does not keep to, and by how much."""
    limited, floors = limits.least(draws.metrics, draws.estimate[0])
    for index, least in zip(limited, floors, strict=True):
        metric, base, score = draws.metrics[index], draws.estimate[0, index], draws.estimate[at, index]
        if math.isnan(score):
            yield f"{metric.title} is not scored"
        elif score < least - EDGE:
            short = f"{100 * (least - score):.1f}"
            if metric.title in (limits.at_least or {}):
                yield f"{metric.title} is {100 * score:.1f}, {short} points below {100 * least:g}"
            else:
                yield f"{metric.title} falls by {100 * (base - score):.1f} points, {short} more than allowed"


def content(found: Recommendation) -> dict[str, Any]:
    """All of it as plain data, for JSON; shares from 0 to 1, null where not scored."""
    limits, draws, selection = found.limits, found.draws, found.selection
    return {
        "run": str(found.folder),
        "goal": draws.metrics[0].title,
        "rule": rule.told(draws.metrics, limits),
        "limits": {
            "most": {draws.metrics[index].title: loss for index, loss in limits.losses(draws.metrics).items()},
            "at_least": dict(limits.at_least or {}),
            "sure": limits.sure,
        },
        "draws": len(draws.inside),
        "seed": SEED,
        **_summary(draws, selection),
        "candidates": [_candidate(draws, selection, at) for at in range(len(draws.candidates))],
        "kinds_left_out": None if found.kinds is None else _left_out(found, *found.kinds),
        "methods": {family: _summary(*own) for family, own in found.families.items()},
        "sentences": sentences(found),
        "command": found.command,
    }


def _summary(draws: Draws, selection: Selection) -> dict[str, Any]:
    outside = not selection.within[1:].any()
    return {
        "recommended": draws.candidates[selection.chosen] if selection.chosen else None,
        "nearest": draws.candidates[selection.nearest] if outside else None,
        "chosen_share": _plain(selection.chosen_share[selection.chosen]),
        "within_share": _plain(selection.within_share[selection.chosen]),
        "gain": _by_title(draws, selection.gain),
        "expected": _by_title(draws, selection.expected),
        "optimism": _by_title(draws, selection.optimism),
    }


def _left_out(found: Recommendation, count: int, selection: Selection) -> dict[str, Any]:
    share = selection.chosen_share[found.selection.chosen]
    return {"kinds": count, "chosen": round(share * count), "expected": _by_title(found.draws, selection.expected)}


def _candidate(draws: Draws, selection: Selection, at: int) -> dict[str, Any]:
    return {
        "configuration": draws.candidates[at],
        "scores": _by_title(draws, draws.estimate[at]),
        "differences": _by_title(draws, draws.estimate[at] - draws.estimate[0]),
        "within": bool(selection.within[at]),
        "within_share": _plain(selection.within_share[at]),
        "chosen_share": _plain(selection.chosen_share[at]),
    }


def _by_title(draws: Draws, values: np.ndarray) -> dict[str, float | None]:
    return {metric.title: _plain(value) for metric, value in zip(draws.metrics, values, strict=True)}


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def _points(difference: float) -> str:
    return percent(difference, "+")


def _percent(share: float) -> str:
    return f"{percent(share, digits=0)} %"
