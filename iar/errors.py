"""Bad input: one line that names the thing, the place and the way out."""

from __future__ import annotations

from importlib.util import find_spec

from benchmark.errors import did_you_mean

__all__ = ["UserError", "did_you_mean", "need", "whole_number"]


class UserError(Exception):
    """What the user can put right. Commands print it as one line and exit with code 2."""


def need(choice: str, extra: str, *packages: str) -> None:
    """Whether the packages of an extra are here, for what was chosen, e.g. ``an endpoint``.

    Raises:
        UserError: They are not; the extra is named.
    """
    if missing := [package for package in packages if find_spec(package) is None]:
        named = f"{' and '.join(missing)} package{'s' if len(missing) > 1 else ''}"
        raise UserError(f"{choice} needs the {named}: pip install 'iar[{extra}]'")


def whole_number(name: str, value: object) -> int:
    """The value of a setting that is a whole number from 1; ``true`` is none.

    Raises:
        UserError: It is not; the setting is named.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{name}={value} must be a whole number from 1")
    return value
