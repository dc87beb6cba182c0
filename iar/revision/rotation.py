"""Rotation in a plane: activations on the unsafe side are turned, and keep their length (arXiv 2510.26243).

    x = h.b1,  y = h.b2,  length = sqrt(x^2 + y^2)
    h + (length * sin(strength) - x) * b1 + (length * cos(strength) - y) * b2        where x < 0, else h

b1 = v / |v|, from unsafe to safe; b2 is orthogonal to it. This is Adaptive Angular Steering: the part of h in the plane
is turned to a target angle, whatever its angle was, and only where it leans towards the behaviour that is unwanted. The
part outside the plane and |h| stay. The paper counts the target from b1; ``strength`` counts the degrees from b2
towards b1, 90 minus the paper's, so that more of it is safer as with every other method: 0 takes the unsafe component
away (ablation that keeps the length), 90 turns all of it to safe. Strength 0 is therefore not the unsteered model.

The paper's b2 is the first principal component of the layers' candidate vectors, one for the model, made orthogonal to
b1; here each layer has its own: the first principal component of its activations, orthogonal to v.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from iar.errors import UserError
from iar.revision.axis import along, axis
from iar.revision.configuration import Configuration
from iar.revision.direction import gates_of
from iar.vectors.vector_set import VectorSet


@dataclass(frozen=True)
class Rotation:
    """What is added to an activation.

    Attributes:
        degrees: Target angle in the plane, from ``second`` (0) towards ``first`` (90).
        first: (hidden,) float32 of length 1, towards safe.
        second: (hidden,) float32 of length 1, orthogonal to it.
    """

    degrees: float
    first: Tensor
    second: Tensor

    def added(self, hidden: Tensor) -> Tensor:
        """(n, hidden) -> (n, hidden), of the same dtype and device."""
        rows, angle = hidden.float(), math.radians(self.degrees)
        first, second = self.first.to(rows), self.second.to(rows)
        x, y = along(rows, first), along(rows, second)
        length = torch.hypot(x, y)
        turned = (length * math.sin(angle) - x) * first + (length * math.cos(angle) - y) * second
        return torch.where(x < 0, turned, torch.zeros_like(turned)).to(hidden.dtype)


def rule(configuration: Configuration, vectors: VectorSet, layer: int) -> Rotation:
    """The rule of one layer.

    Raises:
        UserError: The file has no gates, or the layer's vector or second axis is zero.
    """
    second = gates_of(configuration, vectors).second[layer].double().cpu()
    first = axis(vectors, layer)[0].double()
    length = second.norm()
    second = second - (second @ first) * first
    if second.norm() <= 1e-6 * length:
        raise UserError(f"layer {layer} has no second axis to rotate with: choose another layer")
    return Rotation(configuration.strength, first.float(), normalize(second, dim=0).float())
