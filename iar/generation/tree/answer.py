"""The entry point: how a model shares is found out, and memory that runs out costs no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from iar.generation.finite import NotFinite
from iar.generation.tree.check import GROW, self_check
from iar.generation.tree.request import Decoding, Follower, Place, Request
from iar.generation.tree.rows import broken_rows
from iar.generation.tree.wave import Limits
from iar.models.checkpoint import LoadedModel


def answer(
    loaded: LoadedModel, requests: Sequence[Request], decoding: Decoding, limits: Limits | None = None
) -> Iterator[tuple[Place, list[int]]]:
    """Each place (request, branch) and its generated token ids, as soon as they are there; in no order.

    When memory runs out, what is not answered yet goes on under half the limits.

    Args:
        requests: Distinct prompts; branches with the same effect are computed twice if they are given twice.
        limits: By default what `Limits` says.

    Raises:
        RuntimeError: Out of memory for a single branch.
        NotFinite: Branches whose logits are not finite; of those computed with them what had ended long before was
            yielded.
    """
    limits = limits or Limits()
    grow = GROW[self_check(loaded).mode]
    left = {(r, b) for r, request in enumerate(requests) for b in range(len(request.branches))}
    while left:
        # The same objects, so that places stay what they are.
        asked, places = _only(requests, left)
        suspects, tokens = [], 0
        try:
            for (r, b), ids in grow(loaded, asked, _placed(decoding, places), limits):
                place = places[r][b]
                left.discard(place)
                yield place, ids
        except NotFinite as error:
            suspects, tokens = [places[r][b] for r, b in error.which], error.tokens
        except RuntimeError as error:
            if not out_of_memory(error) or limits.smallest:
                raise
            limits = limits.halved
        if suspects:  # here, where the memory of what was dropped is free again
            raise NotFinite(_broken(loaded, requests, suspects, decoding, tokens, limits) or suspects)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _broken(
    loaded: LoadedModel,
    requests: Sequence[Request],
    suspects: Sequence[Place],
    decoding: Decoding,
    tokens: int,
    limits: Limits,
) -> list[Place]:
    """Those of branches computed together whose own logits are not finite; none where that was only rounding."""
    if not tokens:  # computed apart from each other: all of them
        return list(suspects)
    asked, places = _only(requests, set(suspects))
    short = replace(_placed(decoding, places), max_new_tokens=tokens, follow=None)
    return [places[r][b] for r, b in broken_rows(loaded, asked, short, limits)]


def _only(requests: Sequence[Request], left: set[Place]) -> tuple[list[Request], list[list[Place]]]:
    """The requests with the branches that are left alone, and the places these have among all."""
    asked, places = [], []
    for r, request in enumerate(requests):
        kept = [b for b in range(len(request.branches)) if (r, b) in left]
        if kept:
            asked.append(Request(request.inputs, [request.branches[b] for b in kept]))
            places.append([(r, b) for b in kept])
    return asked, places


def _placed(decoding: Decoding, places: Sequence[Sequence[Place]]) -> Decoding:
    """Decoding whose noise and whose follower are given the places among all requests."""
    if perturb := decoding.perturb:
        decoding = replace(
            decoding, perturb=lambda at, step, scores: perturb([places[r][b] for r, b in at], step, scores)
        )
    return replace(decoding, follow=_Placed(decoding.follow, places)) if decoding.follow else decoding


class _Placed:
    def __init__(self, follow: Follower, places: Sequence[Sequence[Place]]) -> None:
        self.follow, self.places = follow, places

    def read(self, place: Place, probabilities: Tensor) -> None:
        self.follow.read(self.places[place[0]][place[1]], probabilities)

    def grew(self, places: Sequence[Place], step: int, tokens: Sequence[int]) -> Sequence[bool]:
        return self.follow.grew([self.places[r][b] for r, b in places], step, tokens)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether that is what an error of torch says."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def column_bytes(loaded: LoadedModel) -> int:
    """Bytes that keys and values of one token take in all blocks."""
    config: Any = loaded.model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    sizes = 2 * size
    if hasattr(config, "qk_nope_head_dim"):  # DeepSeek's keys and values differ in size
        sizes = config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim
    return int(len(loaded.decoder) * heads * sizes * loaded.model.dtype.itemsize)
