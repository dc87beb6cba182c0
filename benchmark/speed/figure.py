"""One measured figure: its lanes side by side, their ratios, and whether both gave the same answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

from benchmark.speed.sizes import Size


@dataclass(frozen=True)
class Ratio:
    """A ratio with its spread over the repeats, and the issue of the whole thing: what it must reach.

    Attributes:
        values: One a repeat.
        target: The number to reach; None for a ratio that is told only.
        sense: Whether it must be at least or at most that.
        unit: Behind the number; ``×`` for a ratio.
    """

    what: str
    values: tuple[float, ...]
    target: float | None = None
    sense: Literal["≥", "≤"] = "≥"
    unit: str = "×"

    @property
    def middle(self) -> float:
        return median(self.values)

    @property
    def reached(self) -> bool | None:
        if self.target is None:
            return None
        return self.middle >= self.target if self.sense == "≥" else self.middle <= self.target


@dataclass
class Result:
    """What one figure found.

    Attributes:
        lanes: What ran -> seconds, one a repeat, interleaved.
        exact: Whether the answers were the same on both paths; None where there is nothing to compare.
        checked: What was compared, e.g. ``306 of 306 answers the same, 41 of them different from the baseline's``.
        limits: How far the figure is from what no engine could beat, a line each.
        peers: Name -> what it took, or why it cannot.
        skipped: Why nothing was measured; empty when it was.
    """

    name: str
    lanes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    ratios: Sequence[Ratio] = ()
    exact: bool | None = None
    checked: str = ""
    limits: Sequence[str] = ()
    peers: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    skipped: str = ""

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        for written, ratio in zip(found["ratios"], self.ratios, strict=True):
            written |= {"median": ratio.middle, "reached": ratio.reached}
        return found


Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a figure.

    Attributes:
        repeats: None takes the figure's own number.
        say: Is told what is going on, a line each.
        seconds: Of a figure that lasts as long as it is told; None takes its own time.
    """

    size: Size
    repeats: int | None = None
    say: Say = lambda line: None
    seconds: float | None = None

    def times(self, own: int) -> int:
        return own if self.repeats is None else self.repeats


@dataclass(frozen=True)
class Figure:
    """A figure and how to measure it.

    Attributes:
        minutes: About how long it takes at full size on two quiet cores.
        module: Of `benchmark.speed`, imported when the figure is run; it has a function of this name (``-`` as ``_``).
    """

    name: str
    title: str
    module: str
    minutes: float
    function: str
