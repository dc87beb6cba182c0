"""Null-space steering: what is added vanishes on benign activations by construction, not by a threshold.

    h + strength * (a.h) * s * v        s: that of the scale (`iar.revision.direction`)

AlphaSteer (arXiv 2506.07022) and NullSteer (arXiv 2603.22094) add D P h: P projects off the span of benign
activations, and D is fitted by ridge regression so that D P u is the refusal vector for every unsafe activation u.
Since one v is the target of all of them, D P has rank one: D P = v a^T, and only a is to be found. a.b = 0 for every b
in the span of benign activations, and a.u is about 1, less by what the ridge takes off: `iar.vectors.rule_fit`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from iar.errors import UserError
from iar.revision.axis import along, axis
from iar.revision.configuration import Configuration
from iar.revision.direction import gates_of
from iar.vectors.vector_set import VectorSet


@dataclass(frozen=True)
class NullSpace:
    """What is added to an activation.

    Attributes:
        vector: (hidden,) float32, strength * s * v: what is added where a.h is 1.
        risk: (hidden,) float32, a.
    """

    vector: Tensor
    risk: Tensor

    def added(self, hidden: Tensor) -> Tensor:
        """(n, hidden) -> (n, hidden), of the same dtype and device."""
        rows = hidden.float()
        return (along(rows, self.risk.to(rows)) * self.vector.to(rows)).to(hidden.dtype)


def rule(configuration: Configuration, vectors: VectorSet, layer: int) -> NullSpace:
    """The rule of one layer.

    Raises:
        UserError: The file has no gates, the layer's vector is zero, or benign activations leave no direction free.
    """
    risk = gates_of(configuration, vectors).risk[layer].float()
    if not risk.any():
        raise UserError(f"benign activations fill all directions of layer {layer}: choose another layer")
    unit, _ = axis(vectors, layer)
    factor = vectors.length(configuration.scale, layer)
    return NullSpace(configuration.strength * factor * unit, risk)
