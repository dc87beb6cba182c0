"""Figures drawn from files that earlier stages wrote; nothing is computed here."""

from iar.plots.frontier import frontier

__all__ = ["frontier"]
