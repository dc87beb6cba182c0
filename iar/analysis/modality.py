"""How much an image moves a query along the safety direction, and in which blocks (VSCBench's Finding 2).

The same query is asked as text and with images (the modes of VSCBench's text half, paired by row); activations are
read at the prompt's last token. With the unit vector u_l of layer l and sigma_l, the standard deviation of the
projections of all text queries (safe and unsafe),

    shift_l(mode) = mean over rows of (h_l(mode) - h_l(txt)) . u_l / sigma_l

The image modes ask in other words than the text does. So each is also set against a control, its own words without the
image: what is left is the image's part, and control against text is the wording's.

Where it arises: a residual stream is a sum, so along the *one* direction u_L the shift at layer L is the exact sum of
what each block l <= L adds,

    increment_l = mean over rows of ((h_l - h_{l-1})(mode) - (h_l - h_{l-1})(txt)) . u_L / sigma_L

with h_{-1} = 0, so that l = 0 holds the embeddings and block 0. Differences of shifts along each layer's own direction
would mix the stream's change with the direction's. Intervals: t over rows, one layer at a time; directions and sigma
count as given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from iar.stats import clustered
from iar.vectors.statistics import Sample

TEXT = "txt"
CONTRASTS = {  # each mode's references
    "search": (TEXT, "reworded"),
    "typography": (TEXT, "reworded"),
    "concat": (TEXT, "reworded"),
    "figstep": (TEXT, "figstep_words"),
    "reworded": (TEXT,),
    "figstep_words": (TEXT,),
}


def modality_shift(samples: Mapping[str, Sample], vectors: Tensor) -> pd.DataFrame:
    """A row a query side, contrast and layer, along each layer's own direction.

    Args:
        samples: By mode, ``txt`` among them: activations of one example a row, whose key is the row's. Contrasts are
            the CONTRASTS of which both modes are there.
        vectors: (layers, hidden), from unsafe to safe.

    Returns:
        query (``safe`` or ``unsafe``), mode, against (its reference), layer, rows, shift, low, high (in sigmas), sigma
        (in units of the activations), strengths (the shift in lengths of the vector: a push of minus that strength
        would undo it) and towards: ``safe`` or ``unsafe`` where the interval leaves out 0, else empty. NaN where sigma
        is 0.
    """
    unit, length = unit_vectors(vectors)
    projected = {mode: torch.einsum("lnw,lw->ln", s.values.double(), unit).numpy() for mode, s in samples.items()}
    sigma = projected[TEXT].std(axis=1)
    rows = []
    for name, keys, change in _changes(samples, projected):
        for layer in range(len(change)):
            found = _estimate("shift", change[layer], sigma[layer], keys)
            towards = "safe" if found["low"] > 0 else "unsafe" if found["high"] < 0 else ""
            strengths = change[layer].mean() / length[layer] if length[layer] > 0 else np.nan
            row = {**name, "layer": layer, "rows": len(keys), **found}
            rows.append(row | {"sigma": sigma[layer], "strengths": strengths, "towards": towards})
    return pd.DataFrame(rows)


def modality_origin(samples: Mapping[str, Sample], vectors: Tensor, layers: Sequence[int]) -> pd.DataFrame:
    """What each block adds to the shift, along the directions of the chosen layers.

    Returns:
        along (the layer L whose direction it is), query, mode, against, layer (the block, 0 to L), rows, increment,
        low, high (in sigmas of layer L). The increments of one contrast sum to its shift at layer L.
    """
    unit, _ = unit_vectors(vectors)
    rows = []
    for along in layers:
        projected = {mode: (s.values[: along + 1].double() @ unit[along]).numpy() for mode, s in samples.items()}
        sigma = projected[TEXT][along].std()
        added = {mode: np.diff(values, axis=0, prepend=0.0) for mode, values in projected.items()}
        for name, keys, change in _changes(samples, added):
            for layer in range(along + 1):
                found = _estimate("increment", change[layer], sigma, keys)
                rows.append({"along": along, **name, "layer": layer, "rows": len(keys), **found})
    return pd.DataFrame(rows)


def unit_vectors(vectors: Tensor) -> tuple[Tensor, np.ndarray]:
    """Unit vectors (zero where there is none) and lengths, float64."""
    length = vectors.double().norm(dim=1)
    return torch.where(length[:, None] > 0, vectors.double() / length[:, None], 0.0), length.numpy()


def _changes(
    samples: Mapping[str, Sample], projected: Mapping[str, np.ndarray]
) -> Iterator[tuple[dict[str, str], np.ndarray, np.ndarray]]:
    """Query side, mode and reference by name; keys of the rows that have both, and their (layers, rows) differences."""
    for query in ("unsafe", "safe"):
        for mode, references in CONTRASTS.items():
            for reference in references:
                if mode not in samples or reference not in samples:
                    continue
                one, other = samples[mode], samples[reference]
                both = np.intersect1d(one.keys.numpy(), other.keys.numpy(), assume_unique=True, return_indices=True)
                keys, here, there = (part[one.safe.numpy()[both[1]] == (query == "safe")] for part in both)
                if len(keys):
                    change = projected[mode][:, here] - projected[reference][:, there]
                    yield {"query": query, "mode": mode, "against": reference}, keys, change


def _estimate(name: str, change: np.ndarray, sigma: float, keys: np.ndarray) -> dict[str, float]:
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = clustered(change / sigma if sigma > 0 else np.full_like(change, np.nan), keys.tolist())
    return {name: estimate.value, "low": estimate.low, "high": estimate.high}
