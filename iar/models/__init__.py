"""Load a vision-language model, find its decoder blocks, speak its chat format.

The names are imported on first use, so that a command which needs no model starts without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iar.models.checkpoint import LoadedModel, load, load_from
    from iar.models.decoder import Decoder, decoder_of

__all__ = ["Decoder", "LoadedModel", "decoder_of", "load", "load_from"]

_MODULES = {
    "Decoder": "decoder",
    "decoder_of": "decoder",
    "LoadedModel": "checkpoint",
    "load": "checkpoint",
    "load_from": "checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
