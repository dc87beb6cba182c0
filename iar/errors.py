"""Bad input: one line that names the thing, the place and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What the user can put right. Commands print it as one line and exit with code 2."""


def did_you_mean(name: str, options: Iterable[object]) -> str:
    """The way out for an unknown name: the nearest option, and all options.

    >>> did_you_mean("popee", ["pope", "scienceqa"])
    "did you mean 'pope'? (one of: pope, scienceqa)"
    """
    known = sorted(str(option) for option in options)
    near = difflib.get_close_matches(name, known, n=1)
    listed = f"one of: {', '.join(known)}"
    return f"did you mean {near[0]!r}? ({listed})" if near else listed
