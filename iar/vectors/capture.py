"""Read the activations of every decoder block, and of every attention head, in one forward pass, through nnsight."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any

with suppress(ImportError):
    # What clients and servers load of anyio when they first run; it refuses to be loaded after nnsight, which gives
    # every object a ``save``.
    import_module("anyio._backends._asyncio")

import nnsight
import torch
from nnsight.intervention.interleaver import OutOfOrderError
from torch import Tensor

from iar.errors import UserError
from iar.models.checkpoint import LoadedModel


@dataclass(frozen=True)
class Captured:
    """What was kept of one forward pass.

    Attributes:
        layers: One tensor a layer: of its block's output, for the last layer too (before the final norm).
        heads: One tensor a layer: of the input of its attention output projection, where the heads lie side by side,
            ``(head dim)``; None for a block without one. Empty when heads were not asked for.
    """

    layers: list[Tensor]
    heads: list[Tensor | None]


@torch.no_grad()
def capture(
    loaded: LoadedModel,
    features: Mapping[str, Any],
    pool: Callable[[Tensor], Tensor] = torch.clone,
    heads: bool = False,
) -> Captured:
    """Activations of one batch, each passed through ``pool`` as soon as its module has run.

    Args:
        features: Model inputs as ``iar.models.chat.encode`` makes them.
        pool: Maps an activation (batch, tokens, width) to what is kept of it, so that the whole never is.
        heads: Capture the heads too.
    """
    options: dict[str, Any] = {"use_cache": False}
    if "logits_to_keep" in inspect.signature(loaded.model.forward).parameters:
        options["logits_to_keep"] = 1  # no logits are read; those of every token would outweigh the activations
    names = {module: name for name, module in loaded.model.named_modules()}
    with _wrapped(loaded.model) as wrapped:
        blocks = [attrgetter(names[block])(wrapped) for block in loaded.decoder.layers]
        outputs = [
            attrgetter(names[projection])(wrapped) if heads and projection is not None else None
            for projection in loaded.decoder.projections
        ]
        with _in_order(loaded), wrapped.trace(**features, **options):
            # A list comprehension would lose its values when the trace ends; a saved list keeps them.
            kept: list[Tensor] = nnsight.save([])
            kept_heads: list[Tensor | None] = nnsight.save([])
            for block, output in zip(blocks, outputs, strict=True):
                if heads:
                    kept_heads.append(None if output is None else pool(output.input))
                hidden = block.output
                kept.append(pool(hidden[0] if isinstance(hidden, tuple) else hidden))
    return Captured(kept, kept_heads)


@contextmanager
def _in_order(loaded: LoadedModel) -> Iterator[None]:
    """nnsight finds out at the end that a module never ran: name what that means."""
    try:
        yield
    except OutOfOrderError as error:
        raise UserError(
            f"some blocks of model {loaded.id!r} do not run on these examples (cross-attention blocks of an example "
            "without an image): give every pair an image"
        ) from error


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
