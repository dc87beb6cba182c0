"""Steering by forward hooks, for the chosen positions t, in every forward pass and every decode step.

    layer level:  h_l[t] <- h_l[t] + v_l                        the output of decoder block l
    head level:   x_{l+1}[t] = x_l[t] + sum_h Q_l^h (Att_l^h(P_l^h x_l)[t] + v_l^h)
                                                                the input of its attention output projection Q_l

The second is eq. 2 of ITI (arXiv 2306.03341), whose v_l^h is alpha * sigma_l^h * theta_l^h. IAR (arXiv 2501.16378)
revises "during generation"; ``last`` is the reading that ITI's released code uses: the last prompt token, then every
new one. Each row of a batch has its own vectors and positions, so a sweep is a batch. Where a row has a gate
(`iar.revision.gate`), its weight of the prompt multiplies the vectors; where it has a rule (`iar.revision.rule`), v_l
is a function of h_l[t].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, get_args

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from iar.errors import UserError, did_you_mean
from iar.models.decoder import Decoder
from iar.revision.direction import Revision
from iar.revision.gate import Gate, widest
from iar.revision.methods import Positions
from iar.revision.rule import Rule


def position_mask(positions: str, t: Tensor, prompt_length: int) -> Tensor:
    """Which of the absolute positions ``t`` are steered, as booleans of its shape.

    >>> position_mask("last", torch.arange(4), 3).tolist(), position_mask("prompt", torch.arange(4), 3).tolist()
    ([False, False, True, True], [True, True, True, False])
    """
    if positions == "last":
        return t >= prompt_length - 1
    if positions == "generated":
        return t >= prompt_length
    return t < prompt_length if positions == "prompt" else torch.ones_like(t, dtype=torch.bool)


@contextmanager
def steering(
    decoder: Decoder,
    rows: Sequence[Revision],
    positions: Sequence[str],
    prompt_length: int | None = None,
) -> Iterator[None]:
    """Steer every forward pass and every decode step inside the context; afterwards the model is as it was.

    Positions are absolute: they mean the same with and without a KV cache, with left padding (steered padding is
    masked, so harmless), with beams (each row's beams follow it), and for a prompt of one token.

    Code that was compiled before does not see hooks (`torch.compile` keeps no watch on them): see `revise`.

    Args:
        rows: What to add for each row of the batch. A batch of n times as many rows has n beams a row: one row
            alone holds for every batch.
        positions: For each row ``last``, ``generated``, ``prompt`` or ``all``.
        prompt_length: Tokens of the padded prompt; needed where the first call does not hold exactly the prompt:
            prompts fed in parts, assisted decoding. Otherwise it is what the first call sees, and again the first
            call with every new KV cache. Without a cache, a call one token longer than the last is its next step, any
            other a new prompt.

    Raises:
        UserError: Unknown positions, a layer or projection that the model lacks, or a vector of another size.
    """
    if len(rows) != len(positions) or not rows:
        raise ValueError(f"{len(rows)} rows and {len(positions)} positions: there must be one of each a row")
    for name in positions:
        if name not in get_args(Positions):
            raise UserError(f"unknown positions {name!r}: {did_you_mean(name, get_args(Positions))}")
    for row in rows:
        _check(decoder, row)
    # First of all hooks: whatever else reads a block (output_hidden_states does so by hooks) sees it steered.
    with ExitStack() as hooks:
        gates = _Gates([row.gate for row in rows]) if any(row.gate for row in rows) else None
        read = {row.gate.layer for row in rows if row.gate}
        for layer in sorted({layer for row in rows for layer in row.blocks} | read):
            block, clock = decoder.layers[layer], _Clock(positions, prompt_length)
            hooks.callback(block.register_forward_pre_hook(clock, with_kwargs=True).remove)
            if any(layer in row.layers or layer in row.rules for row in rows):
                vectors, rules = [row.layers.get(layer) for row in rows], [row.rules.get(layer) for row in rows]
                added = _AtOutput(clock, _stack(vectors, decoder.hidden_size), gates, rules)
                hooks.callback(block.register_forward_hook(added, prepend=True).remove)
            if any(layer in row.heads for row in rows):
                vectors = [row.heads.get(layer) for row in rows]
                projection: Any = decoder.projections[layer]
                added_inside = _AtInput(clock, _stack(vectors, decoder.heads * decoder.head_size), gates)
                hooks.callback(projection.register_forward_pre_hook(added_inside, prepend=True).remove)
            if gates and layer in read:  # registered last, so called first: it reads what nothing was added to
                reader = _Reader(clock, gates, layer)
                hooks.callback(block.register_forward_hook(reader, prepend=True).remove)
        yield


def _check(decoder: Decoder, row: Revision) -> None:
    if row.heads:
        decoder.require_heads()
    for level, vectors, size in (
        ("layer", row.layers, decoder.hidden_size),
        ("heads of layer", row.heads, decoder.heads * decoder.head_size),
    ):
        for layer, vector in vectors.items():
            if not 0 <= layer < len(decoder):
                raise UserError(f"layer {layer} is outside the model: its layers are 0 to {len(decoder) - 1}")
            if vector.shape != (size,) and (row.gate is None or vector.shape != (len(row.gate.bias), size)):
                raise UserError(f"vector of {level} {layer} has shape {tuple(vector.shape)}, the model needs ({size},)")
    for layer in row.heads:
        if decoder.projections[layer] is None:
            raise UserError(f"layer {layer} has no attention output projection: choose heads of other layers")


def _stack(vectors: Sequence[Tensor | None], size: int) -> Tensor:
    """(rows, k, size): one vector for each of the most categories that a row's gate has; zero where there is none."""
    most = max((len(v) for v in vectors if v is not None and v.ndim == 2), default=1)
    table = torch.zeros(len(vectors), most, size)
    for row, vector in enumerate(vectors):
        if vector is not None:
            table[row, : len(vector) if vector.ndim == 2 else 1] = vector.detach().to("cpu", torch.float32)
    return table


class _Clock:
    """Follows which absolute positions a block computes; its two hooks read off it which of them are steered.

    A pre-hook of the block, because the projection inside it is given neither the cache nor the batch's shape. It
    counts the prompt's tokens down: then nothing changes from one decode step to the next, and compiled code is kept.
    """

    def __init__(self, positions: Sequence[str], prompt_length: int | None) -> None:
        self.positions = positions
        self.prompt_length = prompt_length
        self.cache: Cache | None = None
        self.left = 0  # tokens of the prompt that the next call with this cache begins with
        self.uncached = (0, 0, 0)  # batch, length, and prompt length of the last call without a cache
        self.call = (0, 0, 0)  # batch, length, and number of prompt tokens that the current call begins with

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden: Tensor = args[0] if args else kwargs["hidden_states"]
        batch, length = hidden.shape[:2]
        if batch % len(self.positions):
            raise UserError(f"steering was set up for {len(self.positions)} rows, the batch has {batch}")
        # The phase cannot be read off the length: a prompt may have one token. The tokens are counted here rather than
        # asked of the cache, whose length means something else in some families (cross-attention layers, linear ones).
        cache = next((value for value in (*args, *kwargs.values()) if isinstance(value, Cache)), None)
        left = length if self.prompt_length is None else self.prompt_length
        if cache is None:
            if self.uncached[:2] == (batch, length - 1):
                left = self.uncached[2]
            self.uncached = (batch, length, left)
        else:
            if cache is self.cache:
                left = self.left
            self.left = max(0, left - length)
            self.uncached = (0, 0, 0)
        self.cache, self.call = cache, (batch, length, left)

    def beams(self, hidden: Tensor) -> Tensor:
        """(rows, beams, length, size) of the current call's tensor; some attentions have (batch * length, size)."""
        batch, length, _ = self.call
        return hidden.reshape(len(self.positions), batch // len(self.positions), length, -1)

    @property
    def last(self) -> int | None:
        """Where the last prompt token stands in the current call; None if it is not in it."""
        _, length, left = self.call
        return left - 1 if 0 < left <= length else None

    def add(self, hidden: Tensor, vectors: Tensor) -> Tensor:
        """The tensor of the current call with each row's vectors, (rows, beams, length, size), where they go."""
        _, length, left = self.call
        beams = self.beams(hidden)
        if left == 0 and "prompt" not in self.positions:  # a decode step, without the cost of an all-true mask
            return (beams + vectors).view(hidden.shape)
        t = torch.arange(length, device=hidden.device)
        masks = {name: position_mask(name, t, left) for name in dict.fromkeys(self.positions)}
        mask = torch.stack([masks[name] for name in (self.positions if len(masks) > 1 else masks)])
        # Chosen, not multiplied by 0: what a rule says of a position that is not steered may be no number.
        return torch.where(mask[:, None, :, None], beams + vectors, beams).view(hidden.shape)


class _Gates:
    """The weights of each row's gate, read when a call holds the last prompt token and kept while the answer grows."""

    def __init__(self, gates: Sequence[Gate | None]) -> None:
        self.gates = gates
        self.weights = self._closed(1)  # (rows, beams, k)
        self.reads = 0  # how often they were read: what was computed with them is of that reading

    def _closed(self, beams: int) -> Tensor:
        """Weight 1 for rows without a gate, 0 for the others."""
        weights = torch.zeros(len(self.gates), beams, widest(self.gates))
        weights[[row for row, gate in enumerate(self.gates) if gate is None], :, 0] = 1
        return weights

    def read(self, layer: int, ends: Tensor) -> None:
        """``ends``: (rows, beams, hidden) the block's output at the last prompt token."""
        if self.weights.shape[1] != ends.shape[1] or self.weights.device != ends.device:
            self.weights = self._closed(ends.shape[1]).to(ends.device)
        for gate in {id(gate): gate for gate in self.gates if gate is not None and gate.layer == layer}.values():
            rows = [row for row, other in enumerate(self.gates) if other is gate]
            found = gate.weights(ends[rows].flatten(0, 1)).unflatten(0, (len(rows), -1))
            self.weights[rows, :, : found.shape[2]] = found
        self.reads += 1

    def of(self, row: int) -> Tensor:
        """(beams,) the weight of a row with one gate, or none."""
        return self.weights[row, :, 0]


class _Reader:
    def __init__(self, clock: _Clock, gates: _Gates, layer: int) -> None:
        self.clock, self.gates, self.layer = clock, gates, layer

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self.clock.last is not None:
            hidden = output[0] if isinstance(output, tuple) else output
            self.gates.read(self.layer, self.clock.beams(hidden)[:, :, self.clock.last])


class _Adder:
    """Adds (rows, k, size) vectors, each row's in the proportion of its gate's weights; and what its rule says."""

    def __init__(
        self, clock: _Clock, vectors: Tensor, gates: _Gates | None = None, rules: Sequence[Rule | None] = ()
    ) -> None:
        self.clock, self.vectors, self.gates = clock, vectors, gates
        self.rules = {row: rule for row, rule in enumerate(rules) if rule is not None}
        self._gated, self._read = vectors, 0

    def _add(self, hidden: Tensor) -> Tensor:
        if self.vectors.device != hidden.device or self.vectors.dtype != hidden.dtype:
            self.vectors = self.vectors.to(hidden.device, hidden.dtype)
        vectors = self.vectors if self.gates is None else self._of_gates(self.gates)
        vectors = vectors[:, :, None]  # (rows, beams or 1, 1, size)
        return self.clock.add(hidden, self._of_rules(hidden, vectors) if self.rules else vectors)

    def _of_gates(self, gates: _Gates) -> Tensor:
        """(rows, beams, size), computed once a reading."""
        if self._read != gates.reads or self._gated.dtype != self.vectors.dtype or not gates.reads:
            weights = gates.weights[:, :, : self.vectors.shape[1]].to(self.vectors)
            self._gated, self._read = weights @ self.vectors, gates.reads
        return self._gated

    def _of_rules(self, hidden: Tensor, vectors: Tensor) -> Tensor:
        beams = self.clock.beams(hidden)
        added = vectors.expand_as(beams).clone()
        for row, rule in self.rules.items():
            found = rule.added(beams[row].flatten(0, 1)).view_as(beams[row])
            added[row] += found if self.gates is None else found * self.gates.of(row).to(found)[:, None, None]
        return added


class _AtOutput(_Adder):
    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return (self._add(output[0]), *output[1:]) if isinstance(output, tuple) else self._add(output)


class _AtInput(_Adder):
    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._add(args[0]), *args[1:])
