"""Pooled activations of examples, batch by batch: what estimates and analyses are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from iar.errors import UserError
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.pairs.example import Example
from iar.prompting import Conversation, Turn, attack
from iar.vectors import policy as token_policy
from iar.vectors.capture import capture


@dataclass(frozen=True)
class Pooled:
    """The activations of one batch of examples, float32 on the CPU.

    Attributes:
        index: Places of the batch's examples in the sequence they came from.
        layers: (policies, layers, batch, hidden) block outputs.
        heads: (policies, layers, batch, heads, head_dim) inputs of the attention output projections, zero for a block
            that has none; None when heads were not asked for.
    """

    index: list[int]
    layers: Tensor
    heads: Tensor | None


def pooled(
    loaded: LoadedModel,
    examples: Sequence[Example],
    policies: Sequence[str] = ("mean",),
    *,
    heads: bool = False,
    batch_size: int = 32,
    side: str = "right",
) -> Iterator[Pooled]:
    """Read every example once, in batches of similar length; only the pooled activations of one batch are held.

    Args:
        policies: Token policies (`iar.vectors.policy`).
        heads: Read the heads too.
        batch_size: Examples a forward pass.
        side: Padding side; the result does not depend on it.

    Raises:
        UserError: Unknown policy, one that needs responses for examples without, an unreadable image, or activations
            that are not finite.
    """
    for policy in policies:
        token_policy.check(policy)
        bare = next((e for e in examples if e.response is None), None) if token_policy.needs_response(policy) else None
        if bare is not None:
            raise UserError(f"tokens={policy} needs responses, but pair {bare.pair!r} has none: use tokens=last_prompt")
    for example in examples:
        try:
            chat.check(loaded, (Turn("user", example.prompt), Turn("assistant", example.response or "")))
        except UserError as error:
            raise UserError(f"pair {example.pair!r}: {error}") from error
    # Batches of similar length hold little padding; the sort is stable, so the same examples give the same batches.
    order = sorted(range(len(examples)), key=lambda i: _size(examples[i]))
    for start in range(0, len(order), batch_size):
        index = order[start : start + batch_size]
        yield _read(loaded, [examples[i] for i in index], index, policies, heads, side)


def _size(example: Example) -> tuple[bool, bool, int]:
    return example.image is not None, example.response is None, len(example.prompt) + len(example.response or "")


def _read(
    loaded: LoadedModel, batch: list[Example], index: list[int], policies: Sequence[str], heads: bool, side: str
) -> Pooled:
    images = [[chat.open_image(example.image)] if example.image else [] for example in batch]
    answers = [example.response for example in batch]
    features, prompt_lengths = chat.encode(loaded, [_said(example) for example in batch], images, answers, side=side)
    weights = token_policy.weights(features["attention_mask"], torch.tensor(prompt_lengths), policies)
    if not weights.isfinite().all():
        row = int((~weights.isfinite()).flatten(2).any(2).any(0).nonzero()[0])
        raise UserError(f"the response of pair {batch[row].pair!r} has no tokens: remove the pair")
    captured = capture(loaded, features, lambda hidden: _pool(hidden, weights), heads)
    layers = torch.stack(captured.layers).cpu()
    if not layers.isfinite().all():
        layer = int((~layers.isfinite()).flatten(1).any(1).nonzero()[0])
        raise UserError(f"activations of layer {layer} are not finite in {loaded.dtype}: try model.dtype=float32")
    per_head = None
    if heads:
        count, size = loaded.decoder.heads, loaded.decoder.head_size
        empty = torch.zeros(len(policies), len(batch), count * size)
        flat = torch.stack([empty if kept is None else kept.cpu() for kept in captured.heads])
        per_head = rearrange(flat, "l p b (h d) -> p l b h d", h=count, d=size)
    return Pooled(index, rearrange(layers, "l p b h -> p l b h"), per_head)


def _said(example: Example) -> str | Conversation:
    if not example.attack:
        return example.prompt
    images = (example.image,) if example.image else ()
    return attack.attacked((Turn("user", example.prompt, images),), example.attack)


def _pool(hidden: Tensor, weights: Tensor) -> Tensor:
    """(batch, tokens, width) to (policies, batch, width); what carries no weight may even be NaN (padding)."""
    weights = weights.to(hidden.device)  # a model spread over devices has its layers on several
    used = (weights > 0).any(0)
    return torch.einsum("pbt,bth->pbh", weights, hidden.float().masked_fill(~used[..., None], 0.0))
