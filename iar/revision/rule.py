"""What is added where it depends on the activation itself; a constant vector needs no rule."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Rule(Protocol):
    """A function of one activation at the output of one block."""

    def added(self, hidden: Tensor) -> Tensor:
        """What is added to each activation: (n, hidden) -> (n, hidden), of the same dtype and device.

        Row by row: no row's result depends on another row.
        """
        ...
