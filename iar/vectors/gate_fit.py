"""Fits the probe of a gate, one a layer, and calibrates it (Platt 1999, on held-out folds; Lin, Lin and Weng 2007).

    s_k = w_k . x + b_k         log odds of kind k against benign: a logistic regression, multinomial for several kinds
    p_k = sigmoid(a s_k + c)    a >= 0 and c from the strongest s_k that held-out folds gave each prompt

x is an activation about the mean, in units of the activations' root mean square length, so that the penalty C means the
same at every layer and width. Unsafe and benign weigh as much together, whatever their numbers, and so do the kinds:
p is the probability of unsafe where both are as likely beforehand. All kinds have one a and c, so the strongest p is
that of the likeliest kind. a and c are folded into w and b. Prompts of one group are held out together.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from iar.vectors.one_thread import one_thread

FOLDS = 5
C = 100.0  # by the validation split of the pocket data, whose layers differ little between 10 and 1000

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A calibrated probe of one layer, float32.

    Attributes:
        weight: (kinds, hidden); sigmoid(weight @ h + bias) are the probabilities.
        bias: (kinds,)
        auroc: () of the strongest held-out scores, unsafe against benign.
        scores: (prompts,) held-out probability of the strongest.
    """

    weight: Tensor
    bias: Tensor
    auroc: Tensor
    scores: Tensor


@one_thread()
def fit(values: Tensor, labels: Tensor, folds: Tensor) -> Fit:
    """The probe of one layer; the same input gives the same probe.

    Args:
        values: (prompts, hidden) activations.
        labels: (prompts,) 0 for benign, and a number from 1 for each kind of unsafe; each occurs.
        folds: (prompts,) the fold that each prompt is held out with (`assign`).
    """
    raw, kinds, held_out = values.double().numpy(), labels.numpy().astype(int), folds.numpy()
    unsafe, centre = kinds > 0, raw.mean(0)
    spread = np.sqrt(((raw - centre) ** 2).sum(1).mean()) or 1.0
    scaled = (raw - centre) / spread
    # With fewer prompts than numbers in each, the probe lies in their span: the same fit in fewer dimensions.
    basis = np.linalg.qr(scaled.T)[0] if len(scaled) < scaled.shape[1] else None
    turned = scaled if basis is None else scaled @ basis
    strongest = np.zeros(len(turned))
    for fold in np.unique(held_out):
        rest = held_out != fold
        weight, bias = _probe(turned[rest], kinds[rest])
        strongest[~rest] = (turned[~rest] @ weight.T + bias).max(1)
    slope, shift = platt(strongest, unsafe)
    weight, bias = _probe(turned, kinds)
    weight = (weight if basis is None else weight @ basis.T) * slope / spread
    bias = slope * bias + shift - weight @ centre
    found = (weight, bias, roc_auc_score(unsafe, strongest), expit(slope * strongest + shift))
    return Fit(*(torch.as_tensor(part, dtype=torch.float32) for part in found))


def assign(groups: Sequence[str], labels: Tensor, folds: int = FOLDS) -> Tensor:
    """(prompts,) the fold that each is held out with: no group is parted, and no fold holds all of a class.

    The largest groups first, each to the fold that holds least of its classes; so folds are alike.

    Args:
        groups: Of each prompt.
        labels: (prompts,) classes from 0, each of which occurs.
        folds: At most.

    Raises:
        ValueError: Nothing of a class could be held out: it has one group, or too large ones.
    """
    held: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        held.setdefault(group, []).append(index)
    total = torch.bincount(labels.long()).double()
    shares = {group: torch.bincount(labels[rows].long(), minlength=len(total)) / total for group, rows in held.items()}
    load = torch.zeros(min(folds, len(held)), len(total), dtype=torch.float64)
    found = torch.zeros(len(groups), dtype=torch.long)
    for group in sorted(held, key=lambda group: (-float(shares[group].max()), group)):
        concerned = shares[group] > 0
        after = (load + shares[group])[:, concerned]
        fold = int((after.sum(1) + 1e6 * (after > 1 - 1e-9).any(1)).argmin())
        load[fold] += shares[group]
        found[held[group]] = fold
    if (load > 1 - 1e-9).any():
        raise ValueError(f"of {len(groups)} prompts in {len(held)} groups, one group holds all of a class")
    return found


def platt(decision: _Floats, labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope (0 or more) and shift that make scores probabilities, both classes weighing as much.

    The targets are a little less than certain, so the slope is finite where the classes part.
    """
    positive, negative = int(labels.sum()), int((~labels).sum())
    target = np.where(labels, (positive + 1) / (positive + 2), 1 / (negative + 2))
    weight = np.where(labels, 0.5 / positive, 0.5 / negative)
    unit = decision.std() or 1.0
    design = np.stack([decision / unit, np.ones_like(decision)], 1)
    found = np.zeros(2)
    for _ in range(100):  # Newton, each step halved until it is one down
        p = expit(design @ found)
        gradient = design.T @ (weight * (p - target))
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        step, loss, length = np.linalg.solve(hessian, gradient), _loss(design @ found, target, weight), 1.0
        while _loss(design @ (found - length * step), target, weight) > loss and length > 1e-8:
            length /= 2
        found = found - length * step
        if np.abs(gradient).max() < 1e-10:
            break
    if found[0] <= 0:  # held-out scores are no better than chance: they tell nothing
        return 0.0, 0.0
    return float(found[0] / unit), float(found[1])


def _loss(logit: _Floats, target: _Floats, weight: _Floats) -> float:
    return float((weight * (np.logaddexp(0, logit) - target * logit)).sum())


def _probe(values: _Floats, kinds: NDArray[np.int_]) -> tuple[_Floats, _Floats]:
    """(kinds, width) and (kinds,): the log odds of each kind against benign."""
    counts = np.bincount(kinds)
    share = np.full(len(counts), 0.5 / (len(counts) - 1))
    share[0] = 0.5
    probe = LogisticRegression(C=C, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(values, kinds, sample_weight=(len(kinds) * share / counts)[kinds])
    weight, bias = probe.coef_, probe.intercept_
    return (weight, bias) if len(counts) == 2 else (weight[1:] - weight[:1], bias[1:] - bias[:1])
