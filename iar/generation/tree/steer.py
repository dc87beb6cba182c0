"""Adds revisions token by token: each token of a forward pass names the revision that steers it.

The same sums as in `iar.revision.hooks`, where a row has one revision and a phase; here a row holds many branches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from iar.models.decoder import Decoder
from iar.revision.direction import Revision
from iar.revision.gate import Gate, widest
from iar.revision.rule import Rule


class Steering:
    """Hooks on every block that some revision steers.

    A gate's weights are those of a request's last prompt token, whichever branch computes it: nothing is added before
    it is read. They are kept by request, and every token that a branch of it generates finds them there.

    Attributes:
        at: (rows, tokens) or (rows, 1) numbers of revisions, from 1; 0 adds nothing. None: nothing is steered. Set
            before each forward pass.
        request: (rows, tokens) the request of each token that is steered or read; -1 where that does not matter.
        ends: (rows, tokens) the tokens that gates read; None: none.
        weights: (revisions + 1, requests, k) of each revision's gate; 1 without one.
        read: (revisions + 1, requests, k) the probabilities that they follow from.
    """

    def __init__(self, decoder: Decoder, revisions: Sequence[Revision], requests: int = 0) -> None:
        self.decoder = decoder
        self.revisions = revisions
        self.at: Tensor | None = None
        self.request: Tensor | None = None
        self.ends: Tensor | None = None
        gates = [revision.gate for revision in revisions]
        self.gated = any(gates)
        self.weights = torch.zeros(len(revisions) + 1, requests if self.gated else 0, widest(gates))
        self.read = torch.zeros_like(self.weights)
        self.weights[:, :, 0] = 1

    @property
    def first(self) -> list[int]:
        """The first block that each revision, by number, steers; one behind the last block for none."""
        return [len(self.decoder), *(min(r.blocks, default=len(self.decoder)) for r in self.revisions)]

    @property
    def start(self) -> list[int]:
        """The first block that computes something else under each revision, by number, than unsteered, at the tokens
        that it steers: the one behind what is added to an output, or the one whose heads are steered."""
        starts = [len(self.decoder)]
        for r in self.revisions:
            starts.append(min([*(block + 1 for block in (*r.layers, *r.rules)), *r.heads, len(self.decoder)]))
        return starts

    @property
    def of_tokens(self) -> Tensor | None:
        """(rows, tokens, k) weights of the current tokens; None: all are 1."""
        if not self.gated or self.request is None or self.at is None:
            return None
        return self.weights[self.at, self.request.clamp(min=0)]

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Steer every forward pass inside; afterwards the model is as it was."""
        handles = []
        try:
            for block, module in enumerate(self.decoder.layers):
                at_output = [revision.layers.get(block) for revision in self.revisions]
                rules = {n: r.rules[block] for n, r in enumerate(self.revisions, 1) if block in r.rules}
                if rules or any(vector is not None for vector in at_output):
                    add = _Add(self, _table(at_output, self.decoder.hidden_size), rules)
                    handles.append(module.register_forward_hook(add.at_output, prepend=True))
                at_heads = [revision.heads.get(block) for revision in self.revisions]
                if any(vector is not None for vector in at_heads):
                    add, projection = _Add(self, _table(at_heads)), self.decoder.projections[block]
                    assert projection is not None
                    handles.append(projection.register_forward_pre_hook(add.at_input, prepend=True))
                gates = {n: r.gate for n, r in enumerate(self.revisions, 1) if r.gate and r.gate.layer == block}
                if gates:  # registered last, so called first: it reads what nothing was added to
                    handles.append(module.register_forward_hook(_Read(self, gates).at_output, prepend=True))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _table(vectors: Sequence[Tensor | None], size: int = 0) -> Tensor:
    """(revisions + 1, size), or (revisions + 1, k, size) with categories; row 0 and that of a revision without a
    vector here are zero."""
    most = max((len(v) if v.ndim == 2 else 0 for v in vectors if v is not None), default=0)
    size = next((v.shape[-1] for v in vectors if v is not None), size)
    table = torch.zeros(len(vectors) + 1, max(1, most), size)
    for number, vector in enumerate(vectors, 1):
        if vector is not None:
            table[number, : len(vector) if vector.ndim == 2 else 1] = vector.detach().to("cpu", torch.float32)
    return table if most else table[:, 0]


class _Read:
    """Reads gates at the last tokens of prompts: at those that nothing has been added to so far."""

    def __init__(self, steering: Steering, gates: Mapping[int, Gate]) -> None:
        self.steering, self.gates = steering, gates
        self.start = torch.tensor(steering.start)

    def at_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        steering = self.steering
        if steering.ends is None or steering.at is None or steering.request is None:
            return
        hidden = output[0] if isinstance(output, tuple) else output
        if steering.weights.device != hidden.device:
            steering.weights, steering.read = steering.weights.to(hidden.device), steering.read.to(hidden.device)
        for number, gate in self.gates.items():
            read = steering.ends & (self.start.to(steering.at.device)[steering.at] > gate.layer)
            found = gate.probabilities(hidden[read])
            steering.read[number, steering.request[read], : found.shape[1]] = found
            steering.weights[number, steering.request[read], : found.shape[1]] = gate.decide(found)


class _Add:
    def __init__(self, steering: Steering, table: Tensor, rules: Mapping[int, Rule] | None = None) -> None:
        self.steering = steering
        self.table = table
        self.rules = rules or {}

    def _add(self, hidden: Tensor) -> Tensor:
        at = self.steering.at
        if at is None:
            return hidden
        if self.table.device != hidden.device or self.table.dtype != hidden.dtype:
            self.table = self.table.to(hidden.device, hidden.dtype)
        at, weights = at.to(hidden.device), self.steering.of_tokens
        tokens = hidden.reshape(at.shape[0], -1, hidden.shape[-1])  # some attentions have (rows * tokens, size)
        if weights is None:  # of gated revisions none is at work here: they leave the prompt as it is
            vectors = nn.functional.embedding(at, self.table if self.table.ndim == 2 else self.table[:, 0])
        elif self.table.ndim == 2:
            vectors = nn.functional.embedding(at, self.table) * weights[..., :1].to(hidden)
        else:
            vectors = torch.einsum("rtk,rtks->rts", weights[..., : self.table.shape[1]].to(hidden), self.table[at])
        for number, rule in self.rules.items():
            mine = (at == number).expand(tokens.shape[:2])
            found = rule.added(tokens[mine])
            vectors = vectors.expand_as(tokens).clone()
            vectors[mine] += found if weights is None else found * weights[mine][:, :1].to(found)
        return (tokens + vectors).view(hidden.shape)

    def at_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return (self._add(output[0]), *output[1:]) if isinstance(output, tuple) else self._add(output)

    def at_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._add(args[0]), *args[1:])
