"""What a configuration adds must be a number in the dtype that the model computes in: float16 ends at 65,504."""

from __future__ import annotations

from dataclasses import replace

import torch

from iar.errors import UserError
from iar.revision.configuration import Configuration
from iar.revision.direction import directions
from iar.vectors.vector_set import VectorSet


def check(configuration: Configuration, vectors: VectorSet | None, dtype: torch.dtype) -> None:
    """Raises where strength x scale x vector has an element beyond the dtype's range.

    What overflows only inside the model cannot be known before: such an answer ends as not finite.

    Raises:
        UserError: It has, or as `iar.revision.direction.directions`.
    """
    limit = torch.finfo(dtype).max
    strength = max(abs(configuration.strength), abs(configuration.release) if configuration.traits.releases else 0)
    # Strength x this may be no number in float32.
    once = directions(replace(configuration, strength=1.0, release=1.0), vectors)
    for layer, vector in [*once.layers.items(), *once.heads.items()]:
        most = float(vector.abs().max())
        if not strength * most <= limit:
            name = str(dtype).removeprefix("torch.")
            wider = ", or model.dtype=bfloat16 or float32" if dtype == torch.float16 else ""
            raise UserError(
                f"configuration {configuration.name!r}: its largest element at layer {layer} is {strength * most:.3g}, "
                f"and {name} ends at {limit:.6g}: use a strength up to {limit / most:.3g}{wider}"
            )
