"""A key-value cache that many branches grow in: written in place, cut back, and regrouped by row and column.

A row holds one tree of tokens; the columns are its tokens in the order in which they were computed. Which token sees
which is the mask's business, so a column may be padding or a dead branch.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer


def as_input(model: Any, cache: Cache) -> dict[str, Cache]:
    """The cache by the name that the model takes it: ``cache`` since transformers 5.24, ``past_key_values`` before."""
    return {"cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values": cache}


class _TreeLayer(DynamicLayer):
    """One block's keys and values, (rows, heads, columns, size), views of buffers with room to grow.

    Attributes:
        source: (rows, tokens) For a pass in which the block computes fewer tokens than join the cache: which of the
            computed ones holds the keys and values of each. The block itself looks at the computed ones.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library's has no types
        self.buffers: list[Tensor] = []
        self.source: Tensor | None = None

    @property
    def held(self) -> list[Tensor]:
        """Keys and values, without the room behind them; nothing before the first token."""
        if not self.is_initialized:
            return []
        assert self.keys is not None and self.values is not None
        return [self.keys, self.values]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if self.source is None:
            return self._write(key_states, value_states)
        old, computed = self.held, (key_states, value_states)
        self._write(*(_take(states, self.source) for states in computed))
        if not old:
            return computed
        keys, values = (torch.cat(pair, 2) for pair in zip(old, computed, strict=True))
        return keys, values

    def _write(self, key_states: Tensor, value_states: Tensor) -> tuple[Tensor, Tensor]:
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if not self.buffers or self.buffers[0].shape[-2] < end:
            # Room for a few steps: a decode step must not copy the whole cache.
            room = end + max(64, end // 8)
            grown = [new.new_empty((*new.shape[:2], room, new.shape[-1])) for new in (key_states, value_states)]
            if start:
                for buffer, old in zip(grown, self.held, strict=True):
                    buffer[:, :, :start] = old
            self.buffers = grown
        for buffer, new in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = new
        self.cut(end)
        keys, values = self.held
        return keys, values

    def cut(self, columns: int) -> None:
        keys, values = self.buffers
        self.keys, self.values = keys[:, :, :columns], values[:, :, :columns]

    def hold(self, keys: Tensor, values: Tensor) -> None:
        """Take tensors as they are; they are copied before anything is written behind them."""
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
        self.buffers = [keys, values]
        self.keys, self.values = keys, values


class TreeCache(Cache):
    """Keys and values of a batch of trees."""

    def __init__(self, blocks: int) -> None:
        super().__init__(layers=[_TreeLayer() for _ in range(blocks)])

    @property
    def blocks(self) -> list[_TreeLayer]:
        return cast("list[_TreeLayer]", self.layers)

    @property
    def columns(self) -> int:
        return max(layer.get_seq_length() for layer in self.blocks)

    def cut(self, columns: int) -> None:
        """Forget everything behind the first columns."""
        for layer in self.blocks:
            if layer.is_initialized:
                layer.cut(columns)

    def share(self, blocks: int) -> TreeCache:
        """A cache whose first blocks hold the same keys and values, not copied."""
        other = TreeCache(len(self.blocks))
        for mine, theirs in zip(self.blocks[:blocks], other.blocks, strict=False):
            if mine.is_initialized:
                theirs.hold(*mine.held)
        return other

    def select(self, rows: Tensor, columns: Tensor) -> TreeCache:
        """A new cache: of each given row (rows,) these columns (rows, columns), in that order."""
        other = TreeCache(len(self.blocks))
        at: dict[tuple[int, int], Tensor] = {}  # (heads, room) -> places in a buffer seen as a list of vectors
        for mine, theirs in zip(self.blocks, other.blocks, strict=True):
            picked = []
            for buffer in mine.buffers:
                _, heads, room, size = buffer.shape
                if (heads, room) not in at:
                    at[heads, room] = _places(rows, columns, heads, room)
                flat = buffer.reshape(-1, size).index_select(0, at[heads, room].to(buffer.device))
                picked.append(flat.view(len(rows), heads, -1, size))
            if picked:
                theirs.hold(*picked)
        return other


def _places(rows: Tensor, columns: Tensor, heads: int, room: int) -> Tensor:
    """Where the columns (n, columns) of some rows (n,) are in (rows, heads, room, size) seen as a list of vectors."""
    first = (rows[:, None] * heads + torch.arange(heads, device=rows.device)) * room
    return (first[:, :, None] + columns[:, None]).flatten()


def _take(states: Tensor, columns: Tensor) -> Tensor:
    """(rows, heads, n, size) -> the same of the columns (rows, tokens) of each row."""
    rows, heads, room, size = states.shape
    at = _places(torch.arange(rows, device=columns.device), columns, heads, room)
    return states.reshape(-1, size).index_select(0, at.to(states.device)).view(rows, heads, -1, size)


def join(caches: Sequence[TreeCache]) -> TreeCache:
    """The rows of several caches of equal width, one behind the other."""
    if len(caches) == 1:
        return caches[0]
    joined = TreeCache(len(caches[0].blocks))
    for target, *parts in zip(joined.blocks, *(cache.blocks for cache in caches), strict=True):
        if parts[0].is_initialized:
            target.hold(*(torch.cat(same) for same in zip(*(part.held for part in parts), strict=True)))
    return joined
