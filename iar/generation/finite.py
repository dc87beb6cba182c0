"""Logits that are not finite: decoded, they are token 0 for ever, so a row that has them has no answer.

Rows of a batch are computed apart from each other. Branches in one row of a tree are not: what the mask hides is
multiplied by 0, and 0 x NaN is NaN. So a batch of trees in which a branch breaks is dropped (of a slow model, what was
not handed over before), the branches that break are found row by row, and the others are asked again without them
(`iar.generation.engine`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import StoppingCriteria

from iar.generation.answering import NOT_FINITE

REASON = f"{NOT_FINITE}: logits that are no numbers; use a smaller strength, or model.dtype=bfloat16 or float32"
_NEVER = 1 << 30


class NotFinite(FloatingPointError):
    """Some logits of a batch are not finite; what is left of the batch will not be yielded.

    Attributes:
        which: Indices or places: those that break, or where that cannot be told all of the batch.
        tokens: Number of tokens up to the first whose logits are not finite.
    """

    def __init__(self, which: Sequence[Any], tokens: int = 0) -> None:
        super().__init__(REASON)
        self.which = list(which)
        self.tokens = tokens


def finite(logits: Tensor) -> Tensor:
    """(..., vocabulary) -> (...) bools; single tokens may be ruled out by -inf, but not all."""
    return logits.amax(-1).isfinite()


class Watch(StoppingCriteria):
    """Follows one ``generate``, and ends a row there whose logits are not finite; give it to ``stopping_criteria``."""

    def __init__(self) -> None:
        self.steps = 0
        self.first: Tensor | None = None  # (rows,) step at which a row broke

    @contextmanager
    def over(self, model: Any) -> Iterator[None]:
        # Not a logits processor: the settings of a checkpoint may put others before it, and Janus takes none.
        head: nn.Module = model.get_output_embeddings() or model
        handle = head.register_forward_hook(self._see)
        try:
            yield
        finally:
            handle.remove()

    def _see(self, module: nn.Module, args: Any, output: Any) -> None:
        logits: Tensor = output if isinstance(output, Tensor) else output.logits
        step = torch.where(finite(logits[:, -1]), _NEVER, self.steps)
        self.first = step if self.first is None else torch.minimum(self.first, step)
        self.steps += 1

    def __call__(self, input_ids: Tensor, scores: Any, **options: Any) -> Tensor:
        if self.first is None:
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        return (self.first < _NEVER).to(input_ids.device)

    def broken(self, answers: Sequence[Sequence[int]]) -> list[bool]:
        """Whether each row broke before its answer was at its end.

        Args:
            answers: The generated ids with the one that ended the answer, without what follows.
        """
        if self.first is None:
            return [False] * len(answers)
        return [first < len(ids) for first, ids in zip(self.first.tolist(), answers, strict=True)]
