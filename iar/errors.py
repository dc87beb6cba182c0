"""Bad input: one line that names the thing, the place and the way out."""

from __future__ import annotations

from benchmark.errors import did_you_mean

__all__ = ["UserError", "did_you_mean", "whole_number"]


class UserError(Exception):
    """What the user can put right. Commands print it as one line and exit with code 2."""


def whole_number(name: str, value: object) -> int:
    """The value of a setting that is a whole number from 1; ``true`` is none.

    Raises:
        UserError: It is not; the setting is named.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{name}={value} must be a whole number from 1")
    return value
