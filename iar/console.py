"""Where everything that is not a result goes: progress, tables, warnings, on standard error."""

from __future__ import annotations

import sys

from rich.console import Console

# Paths and answers may hold [brackets]; a file or a pipe has no width, and tables must not be squeezed into 80.
console = Console(stderr=True, markup=False, highlight=False, width=None if sys.stderr.isatty() else 140)
