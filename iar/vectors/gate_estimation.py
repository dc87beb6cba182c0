"""From the activations of unsafe and benign prompts to gates: a layer at a time, all by closed form or convex fits.

The gates of the categories come of one multinomial logit with "benign" as its reference: their log odds compare, so the
strongest names the likeliest category, and it is open where that category is likelier than benign. A danger that is of
none of them opens one by what it shares with them, which probes of one category against all others would hold against
it. Fitted one by one against benign prompts (Begg and Gray 1984), the probes find as much but confuse the categories.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from iar.vectors import gate_fit
from iar.vectors.gates import Gates
from iar.vectors.rule_fit import coefficients


@dataclass(frozen=True)
class Read:
    """What was read of the gate prompts, float32.

    Attributes:
        values: (layers, prompts, hidden) activations at the last prompt token, of the unsafe prompts first.
        unsafe: (prompts,) bool.
        groups: Of each prompt: those of one are held out together.
        categories: Of each prompt; "" where it has none.
        responses: (layers, answers, hidden) mean activations of answers to benign prompts; there may be none.
        refused: (prompts,) bool: whether the model by itself refuses it; None where it was not asked, or where too few
            of one kind are known to learn from.
    """

    values: Tensor
    unsafe: Tensor
    groups: list[str]
    categories: list[str]
    responses: Tensor
    refused: Tensor | None = None


@dataclass(frozen=True)
class Known:
    """What a vector file adds to the prompts; all files are of one pair set.

    Attributes:
        vectors: (layers, hidden).
        categories: Category -> (layers, hidden), the mass mean shift of its pairs.
    """

    vectors: Tensor
    categories: Mapping[str, Tensor]


def estimate(
    read: Read, files: Mapping[str, Known], on_layer: Callable[[int], None] = lambda done: None
) -> dict[str, Gates]:
    """The gates of each file. A category of which nothing can be held out has none.

    Args:
        on_layer: Called with the number of layers done.

    Raises:
        ValueError: Nothing of a class can be held out.
    """
    folds = gate_fit.assign(read.groups, read.unsafe)
    named = sorted(set().union(*(known.categories for known in files.values())))
    categories, rows = _told(read, named)
    kinds = torch.tensor([categories.index(read.categories[at]) + 1 if read.unsafe[at] else 0 for at in rows.tolist()])
    held = gate_fit.assign([read.groups[at] for at in rows.tolist()], kinds) if categories else folds
    main: list[gate_fit.Fit] = []
    of_kinds: list[gate_fit.Fit] = []
    refusals: list[gate_fit.Fit] = []
    apart = None if read.refused is None else gate_fit.assign(read.groups, read.refused)
    risk: list[Tensor] = []
    for layer, values in enumerate(read.values):
        span = _Span(values, read.responses[layer])
        main.append(span.fit(torch.arange(len(values)), read.unsafe, folds))
        if categories:
            of_kinds.append(span.fit(rows, kinds, held))
        if apart is not None and read.refused is not None:
            refusals.append(span.fit(torch.arange(len(values)), read.refused, apart))
        risk.append(span.risk(read.unsafe))
        on_layer(layer + 1)
    scores, benign = torch.stack([probe.scores for probe in main]), read.values[:, ~read.unsafe].mean(1)
    shape = (len(categories), *benign.shape)
    shared = Gates(
        weight=torch.cat([probe.weight for probe in main]),
        bias=torch.cat([probe.bias for probe in main]),
        auroc=torch.stack([probe.auroc for probe in main]),
        rate=(scores > 0.5).float().mean(1),
        benign_mean=benign,
        response_mean=read.responses.mean(1) if read.responses.shape[1] else benign,
        risk=torch.stack(risk),
        categories=categories,
        category_weight=torch.stack([p.weight for p in of_kinds], 1) if categories else torch.zeros(shape),
        category_bias=torch.stack([p.bias for p in of_kinds], 1) if categories else torch.zeros(shape[:2]),
        category_vectors=torch.zeros(shape),
        header=_header(read, categories),
        scores=scores,
    )
    if refusals:
        shared = replace(
            shared,
            refusal_weight=torch.cat([probe.weight for probe in refusals]),
            refusal_bias=torch.cat([probe.bias for probe in refusals]),
            refusal_scores=torch.stack([probe.scores for probe in refusals]),
        )
    found = {}
    for name, known in files.items():
        own = [known.categories[category].float() for category in categories]
        shifts = torch.stack(own) if own else shared.category_vectors
        found[name] = replace(shared, category_vectors=shifts)
    return found


def _told(read: Read, named: Sequence[str]) -> tuple[tuple[str, ...], Tensor]:
    """The categories that are told apart, those with two groups of prompts or more, and the rows of theirs and of the
    benign prompts."""
    groups: dict[str, set[str]] = {name: set() for name in named}
    for category, group in zip(read.categories, read.groups, strict=True):
        groups.setdefault(category, set()).add(group)
    categories = tuple(name for name in named if len(groups[name]) > 1)
    kept = [not unsafe or name in categories for unsafe, name in zip(read.unsafe, read.categories, strict=True)]
    return categories, torch.tensor(kept).nonzero()[:, 0]


class _Span:
    """A layer's activations in an orthonormal basis of their span, where they have more numbers than they are many:
    every fit here stays in that span, and is the same there in fewer dimensions.

    Attributes:
        values: (prompts, width) float64.
        responses: (answers, width) float64.
    """

    def __init__(self, values: Tensor, responses: Tensor) -> None:
        rows = torch.cat([values, responses]).double()
        self._basis = torch.linalg.qr(rows.T)[0] if len(rows) < rows.shape[1] else None
        turned = rows if self._basis is None else rows @ self._basis
        self.values, self.responses = turned[: len(values)], turned[len(values) :]

    def fit(self, rows: Tensor, labels: Tensor, folds: Tensor) -> gate_fit.Fit:
        """The probe of these prompts, its weight (kinds, hidden)."""
        probe = gate_fit.fit(self.values[rows], labels, folds)
        return replace(probe, weight=self._back(probe.weight))

    def risk(self, unsafe: Tensor) -> Tensor:
        """The coefficient of the null-space rule, (hidden,)."""
        responses = self.responses if len(self.responses) else None
        return self._back(coefficients(self.values[unsafe], self.values[~unsafe], responses))

    def _back(self, found: Tensor) -> Tensor:
        """(..., width) -> (..., hidden) float32."""
        return found.float() if self._basis is None else (found.double() @ self._basis.T).float()


def _header(read: Read, categories: tuple[str, ...]) -> dict[str, str]:
    counts = {name: read.categories.count(name) for name in categories}
    return {
        "gate_unsafe": str(int(read.unsafe.sum())),
        "gate_benign": str(int((~read.unsafe).sum())),
        "gate_responses": str(read.responses.shape[1]),
        "gate_categories": json.dumps(list(categories)),
        "gate_category_prompts": json.dumps(counts),
        "gate_probe": f"logistic regression, L2, C={gate_fit.C:g}, balanced classes",
        "gate_calibration": f"Platt, {gate_fit.FOLDS} folds",
    }
