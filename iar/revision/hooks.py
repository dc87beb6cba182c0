"""Steering by forward hooks: h_l[t] <- h_l[t] + v at the output of decoder block l, for the chosen positions t.

Each row of a batch has its own layers, vectors and positions, so a sweep is a batch. IAR revises "during generation"
(arXiv 2501.16378); ``last`` is the reading that ITI's released code uses: the last prompt token, then every new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from iar.errors import UserError, did_you_mean
from iar.models.decoder import Decoder
from iar.revision.configuration import Positions


def position_mask(positions: str, start: int, length: int, prompt_length: int) -> list[bool]:
    """Which of the absolute positions start ... start + length - 1 are steered.

    >>> position_mask("last", 0, 4, 3), position_mask("generated", 0, 4, 3), position_mask("prompt", 0, 4, 3)
    ([False, False, True, True], [False, False, False, True], [True, True, True, False])
    """
    first, end = {
        "last": (prompt_length - 1, None),
        "generated": (prompt_length, None),
        "prompt": (0, prompt_length),
        "all": (0, None),
    }[positions]
    return [first <= t and (end is None or t < end) for t in range(start, start + length)]


@contextmanager
def steering(
    decoder: Decoder,
    rows: Sequence[Mapping[int, Tensor]],
    positions: Sequence[str],
    prompt_length: int | None = None,
) -> Iterator[None]:
    """Steer every forward pass and every decode step inside the context; afterwards the model is as it was.

    Positions are absolute: they mean the same with and without a KV cache, with left padding (steered padding is
    masked, so harmless), with beams (each row's beams follow it), and for a prompt of one token.

    Args:
        rows: For each row of the batch, layer -> vector (hidden,) to add; empty for an unsteered row.
        positions: For each row ``last``, ``generated``, ``prompt`` or ``all``.
        prompt_length: Tokens of the padded prompt; needed only where the prompt itself is fed in parts. Otherwise
            it is what the first call sees, and again the first call with every new KV cache.

    Raises:
        UserError: Unknown positions, a layer outside the model, or a vector of another size than the model's.
    """
    if len(rows) != len(positions):
        raise ValueError(f"{len(rows)} rows but {len(positions)} positions")
    for name in positions:
        if name not in get_args(Positions):
            raise UserError(f"unknown positions {name!r}: {did_you_mean(name, get_args(Positions))}")
    for row in rows:
        for layer, vector in row.items():
            if not 0 <= layer < len(decoder):
                raise UserError(f"layer {layer} is outside the model: its layers are 0 to {len(decoder) - 1}")
            if vector.shape != (decoder.hidden_size,):
                raise UserError(
                    f"vector of layer {layer} has shape {tuple(vector.shape)}, the model needs ({decoder.hidden_size},)"
                )
    handles = []
    try:
        for layer in sorted({layer for row in rows for layer in row}):
            zero = torch.zeros(decoder.hidden_size)
            vectors = torch.stack([row.get(layer, zero).to("cpu", torch.float32) for row in rows])
            hook = _Hook(vectors, positions, prompt_length)
            handles.append(decoder.layers[layer].register_forward_hook(hook, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Hook:
    """Adds (rows, hidden) vectors to one block's output, and follows which absolute positions each call computes."""

    def __init__(self, vectors: Tensor, positions: Sequence[str], prompt_length: int | None) -> None:
        self.vectors = vectors
        self.positions = positions
        self.fixed_length = prompt_length
        self.prompt_length: int | None = prompt_length
        self.cache: Cache | None = None
        self.seen = 0

    def __call__(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        steered = self._steer(hidden, self._start(args, kwargs, hidden.shape[1]))
        return (steered, *output[1:]) if isinstance(output, tuple) else steered

    def _start(self, args: tuple[Any, ...], kwargs: dict[str, Any], length: int) -> int:
        """Absolute position of the call's first token; a call without a cache always begins at 0.

        The phase cannot be read off the length: a prompt may have one token. The tokens are counted here rather than
        asked of the cache, whose length means something else in some families (cross-attention layers, linear ones).
        """
        cache = next((value for value in (*args, *kwargs.values()) if isinstance(value, Cache)), None)
        continues = cache is not None and cache is self.cache
        start = self.seen if continues else 0
        fresh = not continues and (cache is not None or self.prompt_length is None)
        if fresh and self.fixed_length is None:
            self.prompt_length = length
        self.cache, self.seen = cache, start + length
        return start

    def _steer(self, hidden: Tensor, start: int) -> Tensor:
        batch, length, _ = hidden.shape
        beams, rest = divmod(batch, len(self.positions))
        if rest:
            raise ValueError(f"steering was set up for {len(self.positions)} rows, the batch has {batch}")
        if self.vectors.device != hidden.device or self.vectors.dtype != hidden.dtype:
            self.vectors = self.vectors.to(hidden.device, hidden.dtype)
        assert self.prompt_length is not None
        masks = {name: position_mask(name, start, length, self.prompt_length) for name in set(self.positions)}
        mask = torch.tensor([masks[name] for name in self.positions], dtype=hidden.dtype).to(hidden.device)
        vectors = self.vectors
        if beams > 1:
            mask, vectors = mask.repeat_interleave(beams, 0), vectors.repeat_interleave(beams, 0)
        if length == 1:
            return hidden + (mask * vectors)[:, None]  # the same values, without an outer product a decode step
        return hidden + mask[:, :, None] * vectors[:, None]
