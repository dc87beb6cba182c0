"""What a configuration adds to the model, at block outputs or inside the attention: scaled, times its strength.

    layer level:  h_l[t] + strength * s_l * v_l                 h_l: output of decoder block l
    head level:   z_l^h[t] + strength * s_l^h * v_l^h           z_l^h: output of attention head h of block l

with s = 1 (``raw``), 1 / |v| (``unit``) or sigma / |v| (``sigma``). At head level with ``sigma`` this is ITI's
alpha * sigma * theta (arXiv 2306.03341, eq. 2), which IAR follows (arXiv 2501.16378).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from iar.errors import UserError
from iar.revision.configuration import Configuration
from iar.revision.heads import best_heads
from iar.vectors.random_direction import random_unit
from iar.vectors.vector_set import HeadVectors, VectorSet


@dataclass(frozen=True)
class Revision:
    """What is added for one row of a batch; empty for an unsteered row.

    Attributes:
        layers: Block -> (hidden,) float32, added to the block's output.
        heads: Block -> (heads * head_dim,) float32, added to the input of the block's attention output projection,
            in ``(head dim)`` order; zero for the heads that are not chosen.
    """

    layers: Mapping[int, Tensor] = field(default_factory=dict)
    heads: Mapping[int, Tensor] = field(default_factory=dict)


def directions(configuration: Configuration, vectors: VectorSet | None) -> Revision:
    """What to add for a configuration: nothing for the baseline, else at its layers or at its K best heads.

    ``random`` replaces each direction by a seeded normal one and keeps the length (and the choice of heads), so the
    control differs from the real vector in direction only.

    Raises:
        UserError: No vectors given, or none of heads; a layer outside them; more heads than there are; a zero vector
            that a scale would have to divide by its length.
    """
    if not configuration.steered:
        return Revision()
    if vectors is None:
        raise UserError(f"configuration {configuration.name!r} needs revision vectors: make them with iar.extract")
    if configuration.heads == 0:
        return Revision(layers=_of_layers(configuration, vectors))
    if vectors.heads is None:
        raise UserError(
            f"configuration {configuration.name!r} needs vectors of heads: make them with iar.extract level=head"
        )
    return Revision(heads=_of_heads(configuration, vectors.heads))


def _of_layers(configuration: Configuration, vectors: VectorSet) -> dict[int, Tensor]:
    added = {}
    for layer in configuration.layers:
        if not 0 <= layer < vectors.n_layers:
            raise UserError(f"layer {layer} is outside the model: its layers are 0 to {vectors.n_layers - 1}")
        if configuration.scale != "raw" and not vectors.vectors[layer].any():
            raise UserError(f"the vector of layer {layer} is zero and has no direction: use scale=raw")
        added[layer] = _scaled(configuration, vectors.vectors[layer], vectors.sigma[layer], layer)
    return added


def _of_heads(configuration: Configuration, heads: HeadVectors) -> dict[int, Tensor]:
    added: dict[int, Tensor] = {}
    for layer, head in sorted(best_heads(heads, configuration.heads, configuration.layers)):
        vector = _scaled(configuration, heads.vectors[layer, head], heads.sigma[layer, head], layer, head)
        added.setdefault(layer, torch.zeros(heads.vectors.shape[1:]))[head] = vector
    return {layer: vectors.flatten() for layer, vectors in added.items()}


def _scaled(configuration: Configuration, vector: Tensor, sigma: Tensor, *place: int) -> Tensor:
    vector = vector.float()
    if configuration.scale != "raw":
        vector = vector / vector.norm()
    if configuration.scale == "sigma":
        vector = vector * sigma
    if configuration.steering == "random":
        vector = random_unit(configuration.seed, *place, size=vector.numel()) * vector.norm()
    return configuration.strength * vector
