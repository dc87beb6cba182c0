"""Linear probes that tell safe from unsafe activations, one a layer and one a head (ITI, arXiv 2306.03341, section 3).

A fifth of the pairs is held out, both sides of a pair together; accuracy is measured on it, the direction is that of
the probe fitted on the rest. Activations are divided by one number a site, the root mean square of their entries about
the mean: it turns no direction and makes the regularisation mean the same at every layer.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from iar.vectors.one_thread import one_thread
from iar.vectors.statistics import Sample

HELD_OUT = 0.2


@dataclass(frozen=True)
class Probes:
    """One probe a site (a layer or a head).

    Attributes:
        directions: (sites, width) float32, of unit length, towards safe; zero where no probe could be fitted.
        accuracy: (sites,) share of held-out examples told right; 0.5 where nothing could be held out.
    """

    directions: Tensor
    accuracy: Tensor


def held_out(sample: Sample) -> Tensor:
    """(examples,) bool: the pairs that accuracy is measured on, the last fifth in the order of the pairs' hashes, which
    has nothing to do with their content."""
    pairs: Tensor = sample.keys.unique()
    return sample.keys >= pairs[min(math.ceil(len(pairs) * (1 - HELD_OUT)), len(pairs) - 1)]


@one_thread()
def fit(sample: Sample) -> Probes:
    """Fit a logistic regression a site; the same sample gives the same probes."""
    fitted = ~held_out(sample).numpy()
    labels = sample.safe.numpy().astype(int)
    directions = torch.zeros(sample.values.shape[0], sample.values.shape[2])
    accuracy = torch.full((len(directions),), 0.5)
    if len(set(labels[fitted])) < 2:
        return Probes(directions, accuracy)
    for site, values in enumerate(sample.values.numpy().astype(np.float64)):
        centre = values[fitted].mean(0)
        spread = np.sqrt(((values[fitted] - centre) ** 2).mean())
        if spread == 0:
            continue
        scaled = (values - centre) / spread
        # With fewer examples than numbers in each, the probe lies in their span: the same fit in fewer dimensions.
        turned = np.linalg.qr(scaled[fitted].T)[0] if fitted.sum() < scaled.shape[1] else None
        if turned is not None:
            scaled = scaled @ turned
        probe = LogisticRegression(max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # separable classes: the direction is still the probe's
            probe.fit(scaled[fitted], labels[fitted])
        weight = torch.from_numpy(probe.coef_[0] if turned is None else turned @ probe.coef_[0])
        if weight.any():
            directions[site] = (weight / weight.norm()).float()
        accuracy[site] = float(probe.score(scaled[~fitted], labels[~fitted]))
    return Probes(directions, accuracy)
