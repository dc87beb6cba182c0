"""The explorer: a finished run as one HTML file, to look at its frontier and at what the model said before and after.

`write` reads the files of a run and the questions that it asked; nothing is computed again, and torch is not needed.
"""

from iar.explorer.writing import write

__all__ = ["write"]
