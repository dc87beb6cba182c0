"""What configurations, methods and categories are called in the figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import pandas as pd

from iar.revision import methods

CATEGORIES = {  # VSCBench's own spelling -> ours
    "porngraphy": "pornography", "illegal_activity": "illegal activities", "drugs": "health and drugs",
    "religion": "religion and politics",
}  # fmt: skip
MODES = {
    "txt": "text", "search": "relevant image", "typography": "typography", "concat": "image and typography",
    "figstep": "FigStep",
}  # fmt: skip
SCALES = tuple(scale for scale in get_args(methods.Scale) if scale != "raw")  # raw goes without saying
LONGEST = 28  # letters of a family's name beside a figure of 8.5 cm


def category(name: str) -> str:
    """A category or a mode of VSCBench in words; others with their underscores as blanks."""
    return CATEGORIES.get(name) or MODES.get(name) or str(name).replace("_", " ")


def line(place: str, variant: str = "", prompting: str = "") -> str:
    """One line of a frontier: where it adds, and what is not as usual, e.g. ``layer 9 sigma, cot``."""
    where = f"layer {place[1:]}" if "H" not in place else f"{place.rpartition('H')[2]} heads"
    if place.startswith("L") and "H" in place:
        where += f" of layer {place[1:].partition('-')[0]}"
    name = f"{where} {variant.replace('-', ' ')}".strip()
    return f"{name}, {prompting}" if prompting else name


def unit(variant: str) -> str:
    """What a strength is measured in, of a configuration's variant: ``raw`` where that names no scale.

    >>> unit("sigma-all"), unit("all"), unit("")
    ('sigma', 'raw', 'raw')
    """
    return next((part for part in variant.split("-") if part in SCALES), "raw")


def with_unit(variant: str, several: bool) -> str:
    """A variant that says its unit, where ``several`` are in one table or figure: of raw strengths too.

    >>> with_unit("all", True), with_unit("sigma-all", True), with_unit("", False)
    ('raw-all', 'sigma-all', '')
    """
    return "-".join(filter(None, ("raw", variant))) if several and unit(variant) == "raw" else variant


def families(points: pd.DataFrame) -> list[str]:
    """(points,) family of each row of a frontier table."""
    return [
        methods.group(str(method), str(place)) for method, place in zip(points["method"], points["place"], strict=True)
    ]


def spoken(group: str, groups: Iterable[str]) -> str:
    """A family as the figures name it: without its level, unless ``groups`` has the method at both levels.

    A name that would leave the figure no room is cut.
    """
    method, _, level = group.partition(", ")
    others = {other.partition(", ")[2] for other in groups if other.partition(", ")[0] == method}
    named = "+".join(methods.spoken(part) for part in method.split("+"))
    whole = f"{named}, {level}" if level and len(others) > 1 else named
    return whole if len(whole) <= LONGEST else whole[: LONGEST - 1] + "…"
