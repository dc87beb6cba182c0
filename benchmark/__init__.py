"""What a model is asked and how an answer counts. Knows no model: never imports torch or iar."""

from __future__ import annotations

import importlib
from types import ModuleType

from benchmark.errors import DataError, did_you_mean

_NAMES = ("pope", "scienceqa", "vscbench")


def names() -> list[str]:
    """The benchmarks there are, in alphabetical order."""
    return list(_NAMES)


def module(name: str) -> ModuleType:
    """The module of a benchmark: ``PROTOCOL``, ``JUDGED``, ``load``, ``outcomes`` and, unless judged, ``parse``.

    Imported on first use, so that asking for names costs nothing.

    Raises:
        DataError: if there is no benchmark of that name.
    """
    if name not in _NAMES:
        raise DataError(f"unknown benchmark {name!r}: {did_you_mean(name, _NAMES)}")
    return importlib.import_module(f"benchmark.{name}")
