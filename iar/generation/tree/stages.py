"""What each block has to compute: a leaf joins where it begins to differ from the other leaves of its question.

    start of a revision    l + 1 for what is added to the output of block l, l for what is added inside it
    stage l                what block l computes: bodies, one leaf a question, and every leaf with a start up to l

Before its start a leaf is the same computation as every other leaf of its question. The one that starts last stands in
for all of them there: joining leaves take over its hidden state, and its keys and values are theirs in the blocks
before. So the cache is in the end what it would be had every block computed every token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from iar.generation.tree.cache import TreeCache
from iar.generation.tree.steer import Steering


@dataclass(frozen=True, eq=False)
class Stage:
    """The tokens of a pass that a block computes.

    Attributes:
        active: (rows, n) which of the pass's tokens, in their order; behind them, where other rows have more, leaves
            that are not yet computed: no other token sees them.
        source: (rows, tokens) where among the active ones each token is, or the leaf that stands in for it.
    """

    active: Tensor
    source: Tensor

    @property
    def whole(self) -> bool:
        """Whether the block computes all tokens."""
        return self.active.shape == self.source.shape

    def pick(self, values: Tensor) -> Tensor:
        """(rows, tokens, ...) of all tokens -> (rows, n, ...) of the active ones."""
        return _at(values, self.active)


def stages(blocks: int, bodies: int, start: Tensor, question: Tensor) -> list[Stage]:
    """One for each block, and the last for what follows the blocks: it has all tokens. Equal ones are one object.

    Args:
        bodies: Tokens before the leaves, which every block computes.
        start: (rows, leaves) Start of the revision that steers each leaf.
        question: (rows, leaves) -1 for padding.
    """
    leaves = question.shape[1]
    same = question[:, :, None] == question[:, None]
    stand_in = start[:, None].masked_fill(~same, -1).argmax(2)  # the first of those that start last
    joins = start.masked_fill(stand_in == torch.arange(leaves, device=start.device), 0)
    joins = joins.masked_fill(question < 0, blocks).clamp(max=blocks)
    found: dict[int, Stage] = {}
    for block in sorted({0, blocks, *joins.flatten().tolist()}):
        computed = nn.functional.pad(joins <= block, (bodies, 0), value=True)
        if bool(computed.all(1).any()):  # nothing is gained by fewer tokens in the other rows
            computed = torch.ones_like(computed)
        active = (~computed).to(torch.int8).argsort(dim=1, stable=True)[:, : int(computed.sum(1).max())]
        place = computed.cumsum(1) - 1
        source = place.gather(1, nn.functional.pad(stand_in + bodies, (bodies, 0)))
        source = torch.where(computed, place, source).clamp(min=0)
        found[block] = Stage(active, source)
    return [found[max(begin for begin in found if begin <= block)] for block in range(blocks + 1)]


class Staged:
    """Hooks that let one forward pass compute at each block what `stages` says.

    Args:
        steering: Says of all tokens what steers them; it is told the active ones block by block.
        cache: Holds `shared` columns before the pass, and all of its tokens afterwards.
    """

    def __init__(self, steering: Steering, cache: TreeCache, shared: int, found: Sequence[Stage]) -> None:
        self.steering, self.cache, self.shared, self.stages = steering, cache, shared, found
        self.told = steering.at, steering.request, steering.ends
        # What blocks of one stage are given is mostly the same object: its id -> itself, so that its id stays its own,
        # and what it is for the active tokens.
        self.narrowed: dict[int, tuple[Tensor, Tensor]] = {}

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """For one forward pass; afterwards model, cache and steering are as they were, but for what it added."""
        handles = []
        try:
            for block, module in enumerate(self.steering.decoder.layers):
                before, after = _Before(self, block), _After(self, block)
                handles.append(module.register_forward_pre_hook(before, prepend=True, with_kwargs=True))
                handles.append(module.register_forward_hook(after, prepend=True))  # called before anything is added
            for layer, stage in zip(self.cache.blocks, self.stages, strict=False):
                layer.source = None if stage.whole else stage.source
            self.tell(self.stages[0])
            yield
        finally:
            for handle in handles:
                handle.remove()
            for layer in self.cache.blocks:
                layer.source = None
            self.steering.at, self.steering.request, self.steering.ends = self.told

    def tell(self, stage: Stage) -> None:
        """A stage begins."""
        self.narrowed.clear()
        at, request, ends = (value if value is None else stage.pick(value) for value in self.told)
        self.steering.at, self.steering.request, self.steering.ends = at, request, ends

    def narrow(self, value: Any, stage: Stage) -> Any:
        """What a block is given, for the active tokens alone."""
        if isinstance(value, (tuple, list)):
            return type(value)(self.narrow(part, stage) for part in value)
        if isinstance(value, Mapping):
            return {name: self.narrow(part, stage) for name, part in value.items()}
        if not isinstance(value, Tensor) or value.ndim == 0:
            return value
        if id(value) not in self.narrowed:
            self.narrowed[id(value)] = value, self._narrow(value, stage)
        return self.narrowed[id(value)][1]

    def _narrow(self, value: Tensor, stage: Stage) -> Tensor:
        """By its shape alone, whatever the family calls it.

        Raises:
            ValueError: It does not run along the tokens in a way that is known.
        """
        rows, tokens = stage.source.shape
        if value.shape == (rows, 1, tokens, self.shared + tokens):
            active = stage.active.to(value.device)
            columns = torch.arange(self.shared, device=value.device).expand(rows, -1)
            columns = torch.cat([columns, self.shared + active], 1)
            row = torch.arange(rows, device=value.device)[:, None, None]
            return value[row, 0, active[:, :, None], columns[:, None]][:, None]
        # Positions are whole numbers, (rows, tokens) or (axes, rows, tokens); what is made of them has a size too.
        last = value.ndim - 1 - value.is_floating_point() - value.is_complex()
        if last not in (1, 2) or value.shape[last] != tokens or value.shape[last - 1] not in (1, rows):
            raise ValueError(f"no tokens in {tuple(value.shape)}")
        if last == 1:
            return stage.pick(value.expand(rows, *value.shape[1:]))
        return torch.stack([stage.pick(axis.expand(rows, *axis.shape[1:])) for axis in value])


class _Before:
    def __init__(self, staged: Staged, block: int) -> None:
        self.staged, self.block = staged, block

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        stage, named = self.staged.stages[self.block], dict(kwargs)
        if stage.whole:
            return None
        hidden, rest = (args[0], args[1:]) if args else (named.pop("hidden_states"), ())
        if self.block == 0:
            hidden = stage.pick(hidden)
        rest = tuple(self.staged.narrow(value, stage) for value in rest)
        return (hidden, *rest), {name: self.staged.narrow(value, stage) for name, value in named.items()}


class _After:
    def __init__(self, staged: Staged, block: int) -> None:
        self.staged, self.block = staged, block

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        stage, after = self.staged.stages[self.block : self.block + 2]
        if after is stage:
            return None
        self.staged.tell(after)
        place = after.pick(stage.source)
        return (_at(output[0], place), *output[1:]) if isinstance(output, tuple) else _at(output, place)


def _at(values: Tensor, index: Tensor) -> Tensor:
    """(rows, tokens, ...) and (rows, n) -> (rows, n, ...)."""
    index = index.to(values.device)
    return values[torch.arange(len(index), device=index.device)[:, None], index]
