"""The axis that a rule works along: the direction of a layer's vector, which points from unsafe to safe."""

from __future__ import annotations

from torch import Tensor

from iar.errors import UserError
from iar.vectors.vector_set import VectorSet


def axis(vectors: VectorSet, layer: int) -> tuple[Tensor, float]:
    """The unit vector (hidden,) float32 of a layer, and the vector's length.

    Raises:
        UserError: The vector is zero.
    """
    vector = vectors[layer].detach().to("cpu").float()
    length = float(vector.norm())
    if length == 0:
        raise UserError(f"the vector of layer {layer} is zero and has no direction: choose another layer")
    return vector / length, length


def along(hidden: Tensor, axis: Tensor) -> Tensor:
    """Dot products (n, hidden), (hidden,) -> (n, 1). A sum, as a matrix product of one row has other last digits."""
    return (hidden * axis).sum(-1, keepdim=True)
