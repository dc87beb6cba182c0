"""What of a steering fits into a file that knows neither prompts nor gates: one vector a block, added everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from iar.errors import UserError
from iar.revision import Configuration, directions
from iar.revision.overflow import check as check_overflow
from iar.vectors import VectorSet

ALL = ("all",)


def constant(
    configuration: Configuration,
    vectors: VectorSet,
    what: str,
    positions: Sequence[str] = ALL,
    dtype: torch.dtype = torch.float32,
) -> dict[int, Tensor]:
    """Block -> (hidden,) float32, which is added to the block's output: strength and scale multiplied in.

    Args:
        what: What it is to be written into, for errors: ``a bias``.
        positions: Those that this can say.
        dtype: What the vector is added in.

    Raises:
        UserError: What is added depends on the prompt or on the activation, or goes into heads; other positions; a
            strength of 0; or as `iar.revision.directions`.
    """
    name = configuration.steering
    if not configuration.steered or configuration.strength == 0:
        raise UserError(f"method={name} strength={configuration.strength:g} changes nothing: there is nothing to write")
    if configuration.traits.rule or configuration.gated:
        why = "asks a gate about each prompt" if configuration.gated else "adds what depends on the activation"
        raise UserError(f"method {name!r} {why}, which {what} cannot do: take method=iar, or steer with iar.revise")
    if configuration.heads:
        raise UserError(f"heads={configuration.heads}: {what} is of whole blocks: say layers=14, or use iar.revise")
    if configuration.positions not in positions:
        way_out = (
            "say positions=all, which is another steering (docs/integrations.md), or write it as easysteer"
            if positions == ALL
            else f"take one of {', '.join(positions)}"
        )
        raise UserError(
            f"positions={configuration.positions}, but {what} is added at {' or '.join(positions)}: {way_out}"
        )
    check_overflow(configuration, vectors, dtype)
    return dict(directions(configuration, vectors).layers)
