"""Capture activations, estimate revision vectors, read and write the vector file.

The names are imported on first use, so that a command which needs no model starts without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iar.vectors.estimation import collect, estimate, from_statistics
    from iar.vectors.file import digest, gates_digest, read, write
    from iar.vectors.gates import Gates
    from iar.vectors.vector_set import HeadVectors, VectorSet

__all__ = [
    "Gates",
    "HeadVectors",
    "VectorSet",
    "collect",
    "digest",
    "estimate",
    "from_statistics",
    "gates_digest",
    "read",
    "write",
]

_MODULES = {
    "Gates": "gates",
    "HeadVectors": "vector_set",
    "VectorSet": "vector_set",
    "collect": "estimation",
    "digest": "file",
    "estimate": "estimation",
    "from_statistics": "estimation",
    "gates_digest": "file",
    "read": "file",
    "write": "file",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
