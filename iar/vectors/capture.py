"""Read the activations of every decoder block in one forward pass, through nnsight."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import nnsight
import torch
from torch import Tensor

from iar.models.checkpoint import LoadedModel


@torch.no_grad()
def capture(
    loaded: LoadedModel,
    features: Mapping[str, Any],
    pool: Callable[[Tensor], Tensor] = torch.clone,
) -> list[Tensor]:
    """Outputs of all decoder blocks for one batch, each passed through ``pool`` as soon as its block has run.

    Args:
        features: Model inputs as ``iar.models.chat.encode`` makes them.
        pool: Maps a block's output (batch, tokens, hidden) to what is kept of it, so that the whole never is.

    Returns:
        One tensor a layer. The last layer's is its block's output, before the final norm.
    """
    options: dict[str, Any] = {"use_cache": False}
    if "logits_to_keep" in inspect.signature(loaded.model.forward).parameters:
        options["logits_to_keep"] = 1  # no logits are read; those of every token would outweigh the activations
    with _wrapped(loaded.model) as wrapped:
        blocks = wrapped
        for name in loaded.decoder.path.split("."):
            blocks = getattr(blocks, name)
        with wrapped.trace(**features, **options):
            # A list comprehension would lose its values when the trace ends; a saved list keeps them.
            kept: list[Tensor] = nnsight.save([])
            for index in range(len(loaded.decoder)):
                output = blocks[index].output
                kept.append(pool(output[0] if isinstance(output, tuple) else output))
    return kept


@contextmanager
def _wrapped(model: torch.nn.Module) -> Iterator[Any]:
    """The loaded model under nnsight, and the bare one again afterwards.

    nnsight 0.8 sets a ``forward`` (and a mark) on every module instance and leaves it there. Taking it off again keeps
    the promise that measuring changes nothing, and generation runs without it.
    """
    own = {module: dict(module.__dict__) for module in model.modules()}
    try:
        yield nnsight.NNsight(model)
    finally:
        for module, attributes in own.items():
            for name in ("forward", "__nnsight__"):
                module.__dict__.pop(name, None)
                if name in attributes:
                    module.__dict__[name] = attributes[name]
