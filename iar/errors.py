"""Bad input: one line that names the thing, the place and the way out."""

from __future__ import annotations

from benchmark.errors import did_you_mean

__all__ = ["UserError", "did_you_mean"]


class UserError(Exception):
    """What the user can put right. Commands print it as one line and exit with code 2."""
