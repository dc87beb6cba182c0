"""A command that is also a function: ``python -m iar.extract`` and ``iar.extract(model, pairs)`` are one module."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def callable_as(function: Callable[..., Any]) -> None:
    """Makes the module in which a function stands callable as that function.

    A package has one attribute for a submodule and a function of the same name. Importing the submodule sets it, in
    whatever order, so the submodule has to be both. Run by ``python -m`` the module is ``__main__``, and stays as it
    is.
    """
    if function.__module__ == "__main__":
        return
    called = {"__call__": staticmethod(function), "__signature__": inspect.signature(function)}
    sys.modules[function.__module__].__class__ = type("CallableModule", (ModuleType,), called)
