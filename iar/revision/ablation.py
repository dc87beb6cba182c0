"""Ablation of one direction: the activation loses its component along the vector (arXiv 2406.11717).

    h - strength * r (r.h),     r = v / |v|

Strength 1 removes the component, less of it at 0.5, and 2 mirrors it. The source takes the refusal direction (mean of
harmful minus mean of harmless prompts) out of every activation, at all positions and all layers, and refusals go: a
reference for what the direction does, not a defence. Here r is the direction of the vector file, and the component is
removed at the outputs of the layers that are named; positions=all and several layers are closest to the source.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from iar.revision.axis import along, axis
from iar.revision.configuration import Configuration
from iar.vectors.vector_set import VectorSet


@dataclass(frozen=True)
class Ablation:
    """What is added to an activation.

    Attributes:
        strength: Share of the component that is removed.
        axis: (hidden,) float32 of length 1.
    """

    strength: float
    axis: Tensor

    def added(self, hidden: Tensor) -> Tensor:
        """(n, hidden) -> (n, hidden), of the same dtype and device."""
        rows = hidden.float()
        axis = self.axis.to(rows)
        return (-self.strength * along(rows, axis) * axis).to(hidden.dtype)


def rule(configuration: Configuration, vectors: VectorSet, layer: int) -> Ablation:
    """The rule of one layer.

    Raises:
        UserError: The layer's vector is zero.
    """
    return Ablation(configuration.strength, axis(vectors, layer)[0])
