"""Whether a prompt is revised at all: a probe reads it, in the same forward pass that is revised.

    p_j = sigmoid(w_j . h_g[T] + b_j)       h_g[T]: output of block g at the last prompt token, before anything is added
    hard:       weight 1 where p > threshold, else 0
    soft:       weight p
    strongest:  of k categories the one of the highest p has weight 1 if that is over the threshold; all others 0

The weight multiplies what is added at the blocks from g on, at this token and at every one that is generated: it is
decided once a prompt (CAST, arXiv 2409.05907, decides on its first forward pass too). Probes: `iar.vectors.gates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["hard", "soft", "strongest"]


@dataclass(frozen=True)
class Gate:
    """A gate with one probe, or with one for each of k categories.

    Attributes:
        layer: The block whose output is read.
        weight: (k, hidden) float32; k is 1 unless the kind is ``strongest``.
        bias: (k,) float32.
        threshold: Probability of "unsafe" from which it fires.
    """

    layer: int
    weight: Tensor
    bias: Tensor
    threshold: float = 0.5
    kind: Kind = "hard"

    def probabilities(self, hidden: Tensor) -> Tensor:
        """(n, hidden) activations at the last prompt token -> (n, k) float32."""
        weight, bias = (part.to(hidden.device, torch.float32) for part in (self.weight, self.bias))
        return torch.sigmoid(torch.nn.functional.linear(hidden.float(), weight, bias))

    def weights(self, hidden: Tensor) -> Tensor:
        """(n, hidden) activations at the last prompt token -> (n, k) float32 factors of what is added."""
        found = self.probabilities(hidden)
        if self.kind == "soft":
            return found
        fires = (found > self.threshold).to(found.dtype)
        if self.kind == "hard":
            return fires
        best = torch.nn.functional.one_hot(found.argmax(1), found.shape[1]).to(found.dtype)
        return best * fires


def widest(gates: Sequence[Gate | None]) -> int:
    """The most categories that one of the gates has; 1 for none."""
    return max((len(gate.bias) for gate in gates if gate is not None), default=1)
