"""Turn samples x configurations into answers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from iar.generation.answering import Answering, Generation

if TYPE_CHECKING:
    from iar.generation.engine import Engine
    from iar.generation.remote_engine import RemoteEngine

__all__ = ["Answering", "Engine", "Generation", "RemoteEngine"]

_MODULES = {"Engine": "engine", "RemoteEngine": "remote_engine"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
