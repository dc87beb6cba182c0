"""Where in a block a bias does what adding to the block's output does. The block is asked, not its family's name.

Many blocks end in ``h = x + W_down(...)``, so a bias of the last projection is added to the output as it is. Some
multiply what they add by a constant (Granite); some have a norm behind it (Gemma 2 and 3), and no bias does it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from iar.errors import UserError
from iar.models import LoadedModel
from iar.models.decoder import widths

TEXT = "The library opens at nine, and the tram stops in front of it."


class Place(NamedTuple):
    """A linear module whose bias reaches the block's output.

    Attributes:
        name: Dotted, inside the model.
        factor: What the block multiplies it by on the way; 1 for most.
    """

    name: str
    factor: float


def places(loaded: LoadedModel, blocks: Iterable[int]) -> dict[int, Place]:
    """Block -> the last of its linear modules whose output is added to the block's.

    Raises:
        UserError: A block has none; it is named.
    """
    calls = _calls(loaded)
    found = {}
    for block in blocks:
        place = _place(loaded, block, *calls[block])
        if place is None:
            kind = type(loaded.decoder.layers[block]).__name__
            raise UserError(
                f"no bias can steer block {block} of model {loaded.id!r}: what its projections give does not reach the "
                f"block's output as it is (a norm follows in {kind}): use iar.revise, or gguf for llama.cpp"
            )
        found[block] = place
    return found


def _calls(loaded: LoadedModel) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """What each block is called with in one forward pass over a text."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((args, kwargs))

    hooks = [block.register_forward_pre_hook(keep, with_kwargs=True) for block in loaded.decoder.layers]
    try:
        with torch.no_grad():
            loaded.model(input_ids=ids(loaded, TEXT), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def ids(loaded: LoadedModel, text: str) -> Tensor:
    """(1, tokens) of a plain text, without any chat template."""
    found: Tensor = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    return found.to(loaded.device)


def _place(loaded: LoadedModel, block: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Place | None:
    layer, size = loaded.decoder.layers[block], loaded.decoder.hidden_size
    plain = _output(layer, args, kwargs)
    # Larger than what is there, so that rounding in 16 bits stays small beside it.
    draw = torch.randn(size, generator=torch.Generator().manual_seed(block)) * (4 * plain.abs().max().clamp(min=1))
    probe = draw.to(loaded.model.dtype).double()
    limit = 16 * torch.finfo(loaded.model.dtype).eps * float(probe.abs().max())
    for name, module in reversed(list(layer.named_modules())):
        if widths(module)[1] != size:
            continue
        hook = module.register_forward_hook(lambda module, args, output: output + probe.to(output))
        try:
            change = _output(layer, args, kwargs) - plain
        finally:
            hook.remove()
        factor = float((change @ probe).mean() / (probe @ probe))
        if abs(factor) > 1e-3 and float((change - factor * probe).abs().max()) <= limit:
            near = round(factor)  # 1, but for rounding
            return Place(f"{loaded.decoder.path}.{block}.{name}", near if abs(factor - near) < 1e-3 else factor)
    return None


def _output(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """(tokens, hidden) float64."""
    with torch.no_grad():
        output = layer(*args, **kwargs)
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden.flatten(0, -2).double().cpu()
