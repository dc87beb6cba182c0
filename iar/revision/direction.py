"""The vectors that a configuration adds: scaled, and multiplied by its strength."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from iar.errors import UserError
from iar.revision.configuration import Configuration
from iar.vectors.vector_set import VectorSet


def directions(configuration: Configuration, vectors: VectorSet | None) -> dict[int, Tensor]:
    """What to add at each layer, (hidden,) float32; nothing for the baseline.

    ``raw`` adds strength x v, ``unit`` strength x v/|v|, ``sigma`` strength x sigma x v/|v| (ITI, arXiv 2306.03341,
    eq. 2). ``random`` replaces the direction by a seeded normal one and keeps the length, so the control differs from
    the real vector in direction only.

    Raises:
        UserError: No vectors given, or a layer outside them.
    """
    if configuration.method == "none":
        return {}
    if vectors is None:
        raise UserError(f"configuration {configuration.name!r} needs revision vectors: make them with iar.extract")
    added = {}
    for layer in configuration.layers:
        if not 0 <= layer < vectors.n_layers:
            raise UserError(f"layer {layer} is outside the model: its layers are 0 to {vectors.n_layers - 1}")
        vector = vectors.vectors[layer].float()
        length = vector.norm()
        if configuration.scale != "raw":
            if length == 0:
                raise UserError(f"the vector of layer {layer} is zero and has no direction: use scale=raw")
            vector = vector / length
        if configuration.scale == "sigma":
            vector = vector * vectors.sigma[layer]
        if configuration.method == "random":
            vector = _random_unit(configuration.seed, layer, vectors.hidden_size) * vector.norm()
        added[layer] = configuration.strength * vector
    return added


def _random_unit(seed: int, layer: int, size: int) -> Tensor:
    # Hashed, so that seed 1 at layer 0 and seed 0 at layer 1 are not neighbours of one stream.
    mixed = int.from_bytes(hashlib.sha256(f"{seed}/{layer}".encode()).digest()[:8], "little") >> 1
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(mixed))
    unit: Tensor = drawn / drawn.norm()
    return unit
