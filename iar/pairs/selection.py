"""Which rows of a source are used: all, or those of some kinds of harm and ways of asking.

``leave_out=[drugs]`` drops the rows of that category or mode, ``only=[txt]`` all others. A row with an unsafe side that
does not say its mode is kept by the first and dropped by the second; one without an unsafe side is dropped for what it
says alone, because harmless prompts have no kind of harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iar.errors import UserError, did_you_mean
from iar.pairs.row import Row

KINDS = ("category", "mode")


@dataclass(frozen=True)
class Selection:
    """Names of categories and modes.

    Attributes:
        leave_out: Rows of these are dropped.
        only: Rows of no others are kept; empty for all.
    """

    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Selection:
        """That of an entry of conf/pairs."""
        return cls(_names(settings, "leave_out"), _names(settings, "only"))

    def __bool__(self) -> bool:
        return bool(self.leave_out or self.only)

    def __str__(self) -> str:
        """As on the command line."""
        given = {"leave_out": self.leave_out, "only": self.only}
        return " ".join(f"pairs.{name}=[{','.join(values)}]" for name, values in given.items() if values)

    def rows(self, found: Sequence[Row], place: str) -> list[Row]:
        """The rows that are used, in their order.

        Args:
            place: Where they come from, for the message.

        Raises:
            UserError: A name that no row has.
        """
        if not self:
            return list(found)
        present = {kind: {getattr(row, kind) for row in found} - {""} for kind in KINDS}
        known = sorted(set().union(*present.values()))
        for name in (*self.leave_out, *self.only):
            if name not in known:
                raise UserError(f"{self} names {name!r}, which no row of {place} has: {did_you_mean(name, known)}")
        wanted = {kind: set(self.only) & names for kind, names in present.items()}
        return [row for row in found if self._keeps(row, wanted)]

    def _keeps(self, row: Row, wanted: Mapping[str, set[str]]) -> bool:
        for kind, names in wanted.items():
            value = getattr(row, kind)
            if value in self.leave_out:
                return False
            if names and value not in names and (value or row.unsafe is not None):
                return False
        return True


def _names(settings: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = settings.get(name)
    if value is None:
        return ()
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(one, str) and one for one in values):
        raise UserError(f"pairs.{name}={value} must be a list of categories or modes, such as pairs.{name}=[drugs]")
    return tuple(sorted(set(values)))
