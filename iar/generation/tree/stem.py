"""The beginnings of a batch of trees: computed once unsteered, by the model's own forward pass.

Where the prompt itself is steered from block l on, everything below block l is the same as unsteered: images, keys,
values and hidden states. So block l and those above run again for each such revision, on what block l was given in the
unsteered pass, and nothing else does.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from iar.generation.tree.cache import TreeCache, as_input
from iar.generation.tree.request import Request
from iar.generation.tree.steer import Steering
from iar.models import chat
from iar.models.checkpoint import LoadedModel


@dataclass
class _Call:
    """What one block was given and gave."""

    hidden: Tensor
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor


@dataclass
class Stem:
    """The prefixes of a batch of trees.

    Attributes:
        cache: Their keys and values, one row a tree.
        lengths: (trees,) Tokens of each prefix; columns behind them are padding.
        start: (trees,) Position of the token behind the prefix: its length, or less with M-RoPE.
        axes: Leading dimension of the model's position ids; 0 where they are (rows, tokens).
    """

    cache: TreeCache
    lengths: Tensor
    start: Tensor
    axes: int
    _calls: dict[int, _Call] = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """Of the prefixes alone: branches write behind them."""
        return int(self.lengths.max())

    def cut(self) -> None:
        """Forget what branches have written behind the prefixes."""
        self.cache.cut(self.columns)

    def steered(self, steering: Steering, revision: int) -> TreeCache:
        """The cache of the same prefixes under a revision at all their positions."""
        first, blocks = steering.first[revision], steering.decoder.layers
        cache = self.cache.share(first)
        if first == len(blocks):
            return cache
        steering.at, steering.request, steering.ends = torch.full((len(self.lengths), 1), revision), None, None
        hidden = self._calls[first].hidden
        for index in range(first, len(blocks)):
            call = self._calls[index]
            if index > first and call.hidden is not self._calls[index - 1].output:
                # What the model adds between its blocks, such as Qwen3-VL's visual features.
                hidden = hidden + (call.hidden - self._calls[index - 1].output)
            args = [cache if value is self.cache else value for value in call.args]
            kwargs = {name: cache if value is self.cache else value for name, value in call.kwargs.items()}
            output = blocks[index](hidden, *args, **kwargs)
            hidden = output[0] if isinstance(output, tuple) else output
        return cache


def grow_stem(
    loaded: LoadedModel, requests: Sequence[Request], lengths: Sequence[int], keep_from: int | None = None
) -> Stem:
    """Compute the first tokens of each request.

    Args:
        lengths: How many, a request; all 0 or all above.
        keep_from: Keep what this block and those above it were given, for `Stem.steered`.
    """
    cache = TreeCache(len(loaded.decoder))
    wanted = torch.tensor(lengths, device=loaded.device)
    stem = Stem(cache, wanted, wanted, 0)
    if not any(lengths):
        return stem
    rows = [_cut(request, length) for request, length in zip(requests, lengths, strict=True)]
    batch = chat.collate(loaded, rows, side="right")
    seen: dict[str, Any] = {}
    model: Any = loaded.model
    with ExitStack() as hooks:
        decoder = model.get_decoder()
        hooks.callback(decoder.register_forward_pre_hook(lambda m, a, k: seen.update(k), with_kwargs=True).remove)
        if keep_from is not None:
            for index in range(keep_from, len(loaded.decoder)):
                keep = _Keeper(stem, index)
                hooks.callback(loaded.decoder.layers[index].register_forward_hook(keep, with_kwargs=True).remove)
        model(**batch, **as_input(model, cache), use_cache=True, **last_only(model))
    position_ids = seen.get("position_ids")
    if position_ids is not None:
        stem.axes = position_ids.shape[0] if position_ids.ndim == 3 else 0
        highest = position_ids.amax(0) if position_ids.ndim == 3 else position_ids
        inside = torch.arange(highest.shape[1], device=highest.device) < wanted[:, None]
        stem.start = highest.expand(len(wanted), -1).masked_fill(~inside, -1).amax(1) + 1
    return stem


def last_only(model: Any, logits: int = 1) -> dict[str, int]:
    """The argument that keeps the logits of the last tokens alone, where the model has it."""
    return {"logits_to_keep": logits} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}


class _Keeper:
    def __init__(self, stem: Stem, index: int) -> None:
        self.stem = stem
        self.index = index

    def __call__(self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        named = dict(kwargs)
        hidden, rest = (args[0], args[1:]) if args else (named.pop("hidden_states"), ())
        given = output[0] if isinstance(output, tuple) else output
        self.stem._calls[self.index] = _Call(hidden, rest, named, given)


def _cut(request: Request, length: int) -> dict[str, Tensor]:
    return {name: value[:, :length] if request.along_tokens(name) else value for name, value in request.inputs.items()}
