"""Whether a prompt is revised at all: a probe reads it, in the same forward pass that is revised.

    p_j = sigmoid(w_j . h_g[T] + b_j)       h_g[T]: output of block g at the last prompt token, before anything is added
    hard:       weight 1 where p > threshold, else 0
    soft:       weight p
    strongest:  of k categories the one of the highest p has weight 1 if that is over the threshold; all others 0
    ramp:       weight (p - threshold) / (1 - threshold) where p > threshold, else 0

``calibrated`` steers both ways by one probe: a gate of (w, -w) and (b, -b), whose second p is the first one's 1 - p,
with a threshold for each (`both_ways`). A third probe may be a condition of the second way: it adds nothing itself.

The weight multiplies what is added at the blocks from g on, at this token and at every one that is generated: it is
decided once a prompt (CAST, arXiv 2409.05907, decides on its first forward pass too). Probes: `iar.vectors.gates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["hard", "soft", "strongest", "ramp"]
MET = 0.5  # of a condition: both are as likely


@dataclass(frozen=True)
class Gate:
    """A gate with one probe, with one for each of k categories, or with one for each of two ways.

    Attributes:
        layer: The block whose output is read.
        weight: (k, hidden) float32.
        bias: (k,) float32.
        threshold: Probability from which it fires; one for all k, or one for each that is not the condition.
        conditioned: The last probe is the condition of the one before, which fires where both do; its own weight is 0.
    """

    layer: int
    weight: Tensor
    bias: Tensor
    threshold: float | tuple[float, ...] = 0.5
    kind: Kind = "hard"
    conditioned: bool = False

    def probabilities(self, hidden: Tensor) -> Tensor:
        """(n, hidden) activations at the last prompt token -> (n, k) float32."""
        weight, bias = (part.to(hidden.device, torch.float32) for part in (self.weight, self.bias))
        return torch.sigmoid(torch.nn.functional.linear(hidden.float(), weight, bias))

    def weights(self, hidden: Tensor) -> Tensor:
        """(n, hidden) activations at the last prompt token -> (n, k) float32 factors of what is added."""
        return self.decide(self.probabilities(hidden))

    def decide(self, found: Tensor) -> Tensor:
        """(n, k) probabilities -> (n, k) float32 factors of what is added."""
        if not self.conditioned:
            return self._fire(found)
        *ways, conditional = self._fire(found[:, :-1]).unbind(1)
        met = (found[:, -1] > MET).to(found.dtype)
        return torch.stack([*ways, conditional * met, torch.zeros_like(met)], 1)

    def _fire(self, found: Tensor) -> Tensor:
        if self.kind == "soft":
            return found
        threshold = found.new_tensor(self.threshold)
        if self.kind == "ramp":
            return (found - threshold).clamp(min=0) / (1 - threshold).clamp(min=torch.finfo(found.dtype).tiny)
        fires = (found > threshold).to(found.dtype)
        if self.kind == "hard":
            return fires
        best = torch.nn.functional.one_hot(found.argmax(1), found.shape[1]).to(found.dtype)
        return best * fires


def both_ways(
    layer: int,
    weight: Tensor,
    bias: Tensor,
    above: float,
    below: float,
    soft: bool = False,
    condition: tuple[Tensor, Tensor] | None = None,
) -> Gate:
    """The gate of two ways that one probe, (hidden,) and (), decides: p > ``above``, and p < ``below``.

    Args:
        condition: Weight and bias of the probe that must fire too for the second way.
    """
    kind: Kind = "ramp" if soft else "hard"
    probes = [(weight, bias), (-weight, -bias), *([condition] if condition else [])]
    weights, biases = (torch.stack(parts) for parts in zip(*probes, strict=True))
    return Gate(layer, weights, biases, (above, 1 - below), kind, bool(condition))


def widest(gates: Sequence[Gate | None]) -> int:
    """The most probes that one of the gates has; 1 for none."""
    return max((len(gate.bias) for gate in gates if gate is not None), default=1)
