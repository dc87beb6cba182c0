"""What conditional methods know besides the vectors: is a prompt unsafe, of what kind, and what benign ones look like.

    p = sigmoid(w_l . h_l[T] + b_l)       h_l[T]: output of block l at the last prompt token

One probe a layer, calibrated (`iar.vectors.gate_fit`), and one a category and layer; which prompts they were fitted on,
and on how many, is in the header. They stand in the vector file, beside the vectors that they decide about.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from iar.errors import UserError


@dataclass(frozen=True)
class Gates:
    """Gates of all layers, float32.

    Attributes:
        weight: (layers, hidden) probe of unsafe (1) against benign (0) prompts at the last prompt token;
            sigmoid(weight @ h + bias) is the probability of unsafe where both are as likely beforehand.
        bias: (layers,)
        auroc: (layers,) of held-out prompts.
        rate: (layers,) share of all prompts whose held-out probability is over 0.5.
        benign_mean: (layers, hidden) mean activation of benign prompts at the last prompt token.
        response_mean: (layers, hidden) mean activation of answers to benign prompts, over their tokens; where no
            prompt has an answer, ``benign_mean``.
        risk: (layers, hidden) the coefficient of `iar.revision.nullspace`.
        categories: Kinds of harm that have a gate and a vector of their own.
        category_weight: (categories, layers, hidden) the category against benign: one multinomial logit a layer.
        category_bias: (categories, layers)
        category_vectors: (categories, layers, hidden) mass mean shift of the category's pairs.
        refusal_weight: (layers, hidden) probe of what the model by itself refuses against what it answers; (0, hidden)
            where that is not known.
        refusal_bias: (layers,) or (0,)
        refusal_scores: (layers, prompts) held-out probabilities, or (0, prompts).
        header: How they were made, strings only; every key begins with ``gate_``.
        scores: (layers, prompts) held-out probabilities, of the unsafe prompts first; (0, 0) where they are not known.
    """

    weight: Tensor
    bias: Tensor
    auroc: Tensor
    rate: Tensor
    benign_mean: Tensor
    response_mean: Tensor
    risk: Tensor
    categories: tuple[str, ...]
    category_weight: Tensor
    category_bias: Tensor
    category_vectors: Tensor
    header: dict[str, str] = field(default_factory=dict)
    scores: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    refusal_weight: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    refusal_bias: Tensor = field(default_factory=lambda: torch.empty(0))
    refusal_scores: Tensor = field(default_factory=lambda: torch.empty(0, 0))

    def refusal(self, layer: int) -> tuple[Tensor, Tensor]:
        """Weight (hidden,) and bias () of the probe of what the model refuses by itself.

        Raises:
            UserError: It was not made.
        """
        if not len(self.refusal_bias):
            raise UserError(
                "release_if=refused needs gates that know what the model refuses by itself: make them again with "
                "iar.extract gates=true refusals=true"
            )
        return self.refusal_weight[layer], self.refusal_bias[layer]

    def released_at(self, layer: int, threshold: float, if_refused: bool) -> float:
        """Share of all prompts whose held-out probability is not over the threshold; that the model refuses."""
        if not if_refused:
            return 1 - self.rate_at(layer, threshold)
        self.refusal(layer)
        released = (self.scores[layer] <= threshold) & (self.refusal_scores[layer] > 0.5)
        return float(released.double().mean())

    def rate_at(self, layer: int, threshold: float = 0.5) -> float:
        """Share of all prompts whose held-out probability is over the threshold."""
        if not self.scores.numel():
            return float(self.rate[layer])
        return float((self.scores[layer] > threshold).double().mean())

    def rates(self, threshold: float = 0.5) -> tuple[Tensor, Tensor]:
        """(layers,) shares of the unsafe and of the benign prompts over the threshold; NaN where not known."""
        count = int(self.header.get("gate_unsafe", 0))
        if not self.scores.numel() or not count:
            unknown = torch.full_like(self.auroc, torch.nan)
            return unknown, unknown
        fires = (self.scores > threshold).double()
        return fires[:, :count].mean(1), fires[:, count:].mean(1)
