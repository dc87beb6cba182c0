"""Adds revisions token by token: each token of a forward pass names the revision that steers it.

The same sums as in `iar.revision.hooks`, where a row has one revision and a phase; here a row holds many branches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from iar.models.decoder import Decoder
from iar.revision.direction import Revision


class Steering:
    """Hooks on every block that some revision steers.

    Attributes:
        at: (rows, tokens) or (rows, 1) numbers of revisions, from 1; 0 adds nothing. None: nothing is steered. Set
            before each forward pass.
    """

    def __init__(self, decoder: Decoder, revisions: Sequence[Revision]) -> None:
        self.decoder = decoder
        self.revisions = revisions
        self.at: Tensor | None = None

    @property
    def first(self) -> list[int]:
        """The first block that each revision, by number, steers; one behind the last block for none."""
        steered = [[*revision.layers, *revision.heads] for revision in self.revisions]
        return [len(self.decoder), *(min(blocks, default=len(self.decoder)) for blocks in steered)]

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Steer every forward pass inside; afterwards the model is as it was."""
        handles = []
        try:
            for block, module in enumerate(self.decoder.layers):
                at_output = [revision.layers.get(block) for revision in self.revisions]
                if any(vector is not None for vector in at_output):
                    add = _Add(self, _table(at_output))
                    handles.append(module.register_forward_hook(add.at_output, prepend=True))
                at_heads = [revision.heads.get(block) for revision in self.revisions]
                if any(vector is not None for vector in at_heads):
                    add, projection = _Add(self, _table(at_heads)), self.decoder.projections[block]
                    assert projection is not None
                    handles.append(projection.register_forward_pre_hook(add.at_input, prepend=True))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _table(vectors: Sequence[Tensor | None]) -> Tensor:
    """(revisions + 1, size); row 0 and that of a revision without a vector here are zero."""
    zero = torch.zeros_like(next(vector for vector in vectors if vector is not None), device="cpu", dtype=torch.float32)
    return torch.stack([zero, *(zero if v is None else v.detach().to("cpu", torch.float32) for v in vectors)])


class _Add:
    def __init__(self, steering: Steering, table: Tensor) -> None:
        self.steering = steering
        self.table = table

    def _add(self, hidden: Tensor) -> Tensor:
        at = self.steering.at
        if at is None:
            return hidden
        if self.table.device != hidden.device or self.table.dtype != hidden.dtype:
            self.table = self.table.to(hidden.device, hidden.dtype)
        vectors = nn.functional.embedding(at.to(hidden.device), self.table)
        # Some attentions have (rows * tokens, size).
        return (hidden.reshape(at.shape[0], -1, hidden.shape[-1]) + vectors).view(hidden.shape)

    def at_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return (self._add(output[0]), *output[1:]) if isinstance(output, tuple) else self._add(output)

    def at_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._add(args[0]), *args[1:])
