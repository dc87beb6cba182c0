"""Is what was written the same steering? Its logits and answers beside those of hooks, on a few plain texts.

No name of a class is trusted: of some, saving or loading drops a bias without a word, and the answers are unsteered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import iar
from iar.export import place
from iar.models import LoadedModel
from iar.revision import Configuration
from iar.vectors import VectorSet

TEXTS = (
    place.TEXT,
    "Question: How long do I boil an egg? Answer:",
    "Once upon a time there was a small blue house at the end of a road",
    "1, 2, 3, 4,",
)
NEW = 12
# Of what steering changes in the logits, the most that may be missing: rounding, which in 16 bits is not small.
LIMITS = {torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.25}


@dataclass(frozen=True)
class Reference:
    """What a model says of the texts: (tokens, vocabulary) float32 logits without and with hooks; their answers."""

    plain: Sequence[Tensor]
    steered: Sequence[Tensor]
    answers: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Comparison:
    """How far a model is from hooks.

    Attributes:
        error: Largest difference of a logit.
        effect: Largest difference that the hooks make.
        equal: Of ``texts`` greedy answers of `NEW` tokens, those that are equal token by token.
    """

    error: float
    effect: float
    equal: int
    texts: int
    limit: float

    @property
    def holds(self) -> bool:
        return self.error <= self.limit * self.effect

    def __str__(self) -> str:
        return (
            f"{self.equal} of {self.texts} answers equal to iar.revise, logits to {self.error:.1e} "
            f"(steering changes them by up to {self.effect:.2g})"
        )


def reference(loaded: LoadedModel, vectors: VectorSet, configuration: Configuration) -> Reference:
    """What the hooks make of the texts, and what the model says without them."""
    settings = {name: getattr(configuration, name) for name in ("method", "layers", "strength", "scale", "seed")}
    plain = [_logits(loaded.model, place.ids(loaded, text)) for text in TEXTS]
    with iar.revise(loaded, vectors, positions=configuration.positions, **settings):
        steered = [_logits(loaded.model, place.ids(loaded, text)) for text in TEXTS]
        answers = [_answer(loaded.model, place.ids(loaded, text)) for text in TEXTS]
    return Reference(plain, steered, answers)


def compare(loaded: LoadedModel, model: Any, wanted: Reference) -> Comparison:
    """``model``, asked the same texts (tokenised by ``loaded``), beside the hooks."""
    found = [_logits(model, place.ids(loaded, text)) for text in TEXTS]
    answers = [_answer(model, place.ids(loaded, text)) for text in TEXTS]
    return Comparison(
        _largest(found, wanted.steered),
        _largest(wanted.plain, wanted.steered),
        sum(one == other for one, other in zip(answers, wanted.answers, strict=True)),
        len(TEXTS),
        LIMITS.get(loaded.model.dtype, LIMITS[torch.float32]),
    )


def _logits(model: Any, ids: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(input_ids=ids, use_cache=False).logits[0]
    return logits.float().cpu()


def _answer(model: Any, ids: Tensor) -> list[int]:
    asked = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        found: list[int] = model.generate(**asked, max_new_tokens=NEW, do_sample=False)[0, ids.shape[1] :].tolist()
    return found


def _largest(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))
