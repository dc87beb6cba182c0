"""How far the categories of one score lie apart, and whether more than chance would have it.

    spread = max_k p_k - min_k p_k,  p_k the share in category k

The largest and the smallest of several noisy shares lie too far apart: categories that are all alike have a spread
too. So it comes with

* ``chance``: the spread that is exceeded in 5 % of random assignments of the clusters to categories of the same sizes,
  and ``p``, the share of assignments with a spread as large as this one (permutation test; Phipson & Smyth 2010: never
  0);
* an interval by the cluster bootstrap, the clusters drawn anew within each category: the basic one, 2 V - quantiles
  (Davison & Hinkley 1997, 5.2), which takes out that excess, and may lie below V as a whole. It has no width where
  the answers of every category are unanimous.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from benchmark.intervals import LEVEL, codes


def spread(
    values: ArrayLike, categories: Sequence[str], clusters: Sequence[str], draws: int = 1000, seed: int = 0
) -> dict[str, object]:
    """The spread of shares between categories.

    Args:
        values: (n,) from 0 to 1, without NaN.
        categories, clusters: (n,) names; a cluster belongs to one category.
        draws: Of the bootstrap, and of the permutation test.
        seed: The same seed gives the same draws.

    Returns:
        spread, low, high, chance, p, lowest and highest (the categories' names); NaN and "" with fewer than two
        categories; no names where all are alike.
    """
    names = sorted(set(categories))
    if len(names) < 2:
        nothing = dict.fromkeys(("spread", "low", "high", "chance", "p"), np.nan)
        return nothing | {"lowest": "", "highest": ""}
    cluster = codes(list(clusters))
    groups = int(cluster.max()) + 1
    of = np.zeros(groups, dtype=int)  # the category of each cluster
    of[cluster] = np.searchsorted(names, list(categories))
    hits, sizes = np.bincount(cluster, np.asarray(values, dtype=float), groups), np.bincount(cluster, None, groups)
    shares = np.bincount(of, hits) / np.bincount(of, sizes)
    value = float(np.ptp(shares))
    random = np.random.default_rng(seed)
    drawn = np.stack([_redrawn(random, hits[of == k], sizes[of == k], draws) for k in range(len(names))])
    low, high = 2 * value - np.quantile(np.ptp(drawn, axis=0), [0.5 + LEVEL / 2, 0.5 - LEVEL / 2])
    shuffled = np.array([_shuffled(random, hits, sizes, of) for _ in range(draws)])
    return {
        "spread": value,
        "low": float(np.clip(low, 0, 1)),
        "high": float(np.clip(high, 0, 1)),
        "chance": float(np.quantile(shuffled, LEVEL)),
        "p": float((1 + (shuffled >= value - 1e-12).sum()) / (1 + draws)),
        "lowest": names[int(shares.argmin())] if value > 0 else "",
        "highest": names[int(shares.argmax())] if value > 0 else "",
    }


def _redrawn(random: np.random.Generator, hits: np.ndarray, sizes: np.ndarray, draws: int) -> np.ndarray:
    """(draws,): the share in one category, with its clusters drawn anew."""
    times = random.multinomial(len(hits), np.full(len(hits), 1 / len(hits)), size=draws)
    return np.asarray((times @ hits) / (times @ sizes))


def _shuffled(random: np.random.Generator, hits: np.ndarray, sizes: np.ndarray, of: np.ndarray) -> float:
    mixed = random.permutation(of)
    return float(np.ptp(np.bincount(mixed, hits) / np.bincount(mixed, sizes)))
