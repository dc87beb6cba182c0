"""Where the settings and recipes that ship with the package lie."""

from __future__ import annotations

from pathlib import Path


def shipped(name: str) -> Path:
    """The folder ``conf`` or ``sweeps``: inside an installed wheel, else beside the package."""
    package = Path(__file__).parent
    inside = package / f"_{name}"
    return inside if inside.is_dir() else package.parent / name
