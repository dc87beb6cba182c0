"""What every source yields: one contrast, whatever the strategy makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Side:
    """One side of a contrast: what is asked, and the response to it where the source has one."""

    prompt: str
    image: Path | None = None
    response: str | None = None


@dataclass(frozen=True)
class Row:
    """One row of a source. At least one side is there.

    Attributes:
        id: Unique in its source.
        place: File and line (or item) for messages.
        category: Kind of harm, where the source names it.
        mode: How it is asked (as text, drawn, as FigStep), where the source names it.
    """

    id: str
    place: str
    safe: Side | None
    unsafe: Side | None
    category: str = ""
    mode: str = ""

    @property
    def sides(self) -> list[tuple[bool, Side]]:
        """The sides that are there, each with whether it is the safe one."""
        return [(name, side) for name, side in ((True, self.safe), (False, self.unsafe)) if side is not None]
