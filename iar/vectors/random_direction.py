"""Random directions, the control of every claim about a vector: what a random one does too is not due to the data.

A direction depends on the seed and its place (layer, or layer and head) alone, not on which others are drawn.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def random_unit(seed: int, *place: int, size: int) -> Tensor:
    """A direction uniform on the sphere: a normal draw over its length, (size,) float32 of length 1.

    Args:
        place: The layer; or the layer and the head, or the category's number.
    """
    # Hashed, so that seed 1 at layer 0 and seed 0 at layer 1 are not neighbours of one stream.
    name = "/".join(map(str, (seed, *place)))
    mixed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(mixed))
    unit: Tensor = drawn / drawn.norm()
    return unit
