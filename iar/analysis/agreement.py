"""Do the categories of harm want the same vector? (VSCBench's Finding 1: categories are calibrated inconsistently.)

One mass mean shift a category. Few pairs make a noisy vector, and noise alone lowers the cosine of two vectors. So
every cosine here is between vectors of two *disjoint halves* of the units (pairs, or rows of a benchmark):

    M[a, b] = mean over random splits of cos(v_a of one half, v_b of the other half)

On the diagonal stand two halves of one category, off it halves of two: equally small, equally noisy, never sharing a
unit. Categories agree fully if M[a, b] reaches the ceiling sqrt(M[a, a] M[b, b]); the quotient is the cosine corrected
for attenuation (Spearman, 1904). Intervals: delete-a-group jackknife over units, t distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from iar.vectors.statistics import Sample

LEAST = 4  # units a category needs on each side, so that a half has two
GROUPS = 10  # of the jackknife


@dataclass(frozen=True)
class Agreement:
    """Attributes:
    cosines: A row a layer and pair of categories (a, b), a = b included: layer, a, b, units_a, units_b, cosine (of
        the vectors from all units), halves (M[a, b]), ceiling and corrected (NaN where a category's own halves
        do not agree at all, or a = b).
    layers: A row a layer: layer, within (mean of M's diagonal), between (mean beside it), gap = within - between,
        each with _low and _high, 95 %.
    """

    cosines: pd.DataFrame
    layers: pd.DataFrame


def enough(sample: Sample) -> bool:
    """Whether a category has at least LEAST units on each side."""
    return all(len(sample.keys[sample.safe == side].unique()) >= LEAST for side in (True, False))


def agreement(samples: Mapping[str, Sample], splits: int = 20, seed: int = 0) -> Agreement:
    """Cosines between the categories' vectors, layer by layer.

    Args:
        samples: Activations of each category; equal keys are one unit, in whatever category they stand (the modes of a
            VSCBench row), and always fall into the same half.
        splits: Random halvings that are averaged.

    Raises:
        ValueError: Fewer than two categories, or one with fewer than LEAST units on a side.
    """
    names = list(samples)
    if len(names) < 2 or not all(map(enough, samples.values())):
        raise ValueError(f"agreement needs two categories of at least {LEAST} units on each side")
    owner = np.concatenate([np.full(len(s.keys), i) for i, s in enumerate(samples.values())])
    safe = np.concatenate([s.safe.numpy() for s in samples.values()])
    keys, unit = np.unique(np.concatenate([s.keys.numpy() for s in samples.values()]), return_inverse=True)
    alike = _alike(unit, len(keys), owner, safe)
    half = _halves(alike, splits, np.random.default_rng(seed))[:, unit]
    group = (np.argsort(np.concatenate(alike)) % GROUPS)[unit]
    members = (owner == np.arange(len(names))[:, None])[None]

    def weights(active: np.ndarray) -> np.ndarray:
        """(rows, categories, examples) that turn activations into mass mean shifts, from active (rows, examples)."""
        total = np.zeros((len(active), len(names), len(owner)))
        for side, sign in ((safe, 1.0), (~safe, -1.0)):
            chosen = active[:, None] & members & side
            total += sign * chosen / chosen.sum(-1, keepdims=True)
        return total

    kept = [np.ones(len(owner), bool), *(group != number for number in range(GROUPS))]
    off = ~np.eye(len(names), dtype=bool)
    units = [len(sample.keys.unique()) for sample in samples.values()]
    cosines, layers = [], []
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = weights(kept[0][None])
        parts = [(weights(half & keep), weights(~half & keep)) for keep in kept]
        for layer in range(len(next(iter(samples.values())).values)):
            values = np.concatenate([s.values[layer].double().numpy() for s in samples.values()])
            values -= values.mean(0)
            matrices = [_cosines(one @ values, other @ values) for one, other in parts]
            found = matrices[0]
            own = np.sqrt(np.where(np.diag(found) > 0, np.diag(found), np.nan))
            table = {"halves": found, "ceiling": np.outer(own, own), "corrected": found / np.outer(own, own)}
            table = {"cosine": _cosines(whole @ values, whole @ values)} | table
            for a, b in zip(*np.triu_indices(len(names)), strict=True):
                row = {"layer": layer, "a": names[a], "b": names[b], "units_a": units[a], "units_b": units[b]}
                row |= {name: float(matrix[a, b]) for name, matrix in table.items()}
                cosines.append(row if a != b else row | {"ceiling": np.nan, "corrected": np.nan})
            within = np.array([np.diag(m).mean() for m in matrices])
            between = np.array([m[off].mean() for m in matrices])
            row = {"layer": layer}
            for name, series in (("within", within), ("between", between), ("gap", within - between)):
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), _jackknife(series), strict=True))
            layers.append(row)
    return Agreement(pd.DataFrame(cosines), pd.DataFrame(layers))


def _alike(unit: np.ndarray, count: int, owner: np.ndarray, safe: np.ndarray) -> list[np.ndarray]:
    """The units, grouped by the categories and sides that they stand in."""
    kinds: dict[tuple[tuple[int, bool], ...], list[int]] = {}
    places: list[set[tuple[int, bool]]] = [set() for _ in range(count)]
    for number, category, side in zip(unit.tolist(), owner.tolist(), safe.tolist(), strict=True):
        places[number].add((category, side))
    for number, place in enumerate(places):
        kinds.setdefault(tuple(sorted(place)), []).append(number)
    return [np.array(kinds[kind]) for kind in sorted(kinds)]


def _halves(alike: list[np.ndarray], splits: int, rng: np.random.Generator) -> np.ndarray:
    """(splits, units) bool: half of the units of every kind; an odd one goes to either."""
    half = np.zeros((splits, sum(map(len, alike))), dtype=bool)
    for row in half:
        for units in alike:
            row[rng.permutation(units)[rng.integers(2) :: 2]] = True
    return half


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(rows, categories, width) twice to (categories, categories), symmetric, mean over the rows."""
    one, other = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (one, other))
    found = (one @ other.transpose(0, 2, 1)).mean(0)
    return np.asarray((found + found.T) / 2)


def _jackknife(series: np.ndarray) -> tuple[float, float, float]:
    """Value with its 95 % interval, from the value of all units and those without each group."""
    value, without = series[0], series[1:]
    se = np.sqrt((GROUPS - 1) / GROUPS * np.square(without - without.mean()).sum())
    width = float(stats.t.ppf(0.975, GROUPS - 1)) * se
    return float(value), float(value - width), float(value + width)
