from __future__ import annotations

import math

import numpy as np
import pytest

from iar.stats.spread import spread


def made(*shares: float, size: int = 50) -> tuple[list[float], list[str], list[str]]:
    """Values with these shares of ones in categories a, b, ..., each its own cluster."""
    values, categories = [], []
    for name, share in zip("abcdef", shares, strict=False):
        values += [1.0] * round(share * size) + [0.0] * (size - round(share * size))
        categories += [name] * size
    return values, categories, [f"c{i}" for i in range(len(values))]


def test_categories_that_differ():
    found = spread(*made(0.2, 0.5, 0.9))
    assert found["spread"] == pytest.approx(0.7)
    assert (found["lowest"], found["highest"]) == ("a", "c")
    assert found["p"] == pytest.approx(1 / 1001)
    assert found["low"] == pytest.approx(0.7 - 0.14, abs=0.03)  # 1.96 sqrt(.2 .8 / 50 + .9 .1 / 50) = .14
    assert found["high"] == pytest.approx(0.7 + 0.14, abs=0.03)
    assert 0.15 < found["chance"] < 0.35


def test_categories_that_are_alike_have_a_spread_too():
    """Noise alone: the spread is above 0, and no larger than chance has it in 95 of 100 cases."""
    random, beyond, spreads = np.random.default_rng(1), 0, []
    for _ in range(60):
        values = random.integers(0, 2, 300).astype(float)
        found = spread(values, list("abcdef") * 50, [f"c{i}" for i in range(300)], draws=200)
        beyond += found["p"] <= 0.05
        spreads.append(found["spread"])
    assert np.mean(spreads) > 0.1
    assert beyond <= 8  # 3 expected, more than 8 in 1 of 200 series


def test_clusters_stay_together():
    """Ten answers to one image are one observation: chance then has much larger spreads."""
    values, categories, clusters = made(0.4, 0.6)
    alone = spread(values, categories, clusters)
    together = spread(values, categories, [f"{c}{i // 10}" for i, c in enumerate(categories)])
    assert alone["spread"] == together["spread"] == pytest.approx(0.2)
    assert together["chance"] > 1.5 * alone["chance"]
    assert together["p"] > alone["p"]


def test_the_same_seed_gives_the_same_draws():
    assert spread(*made(0.2, 0.5), seed=3) == spread(*made(0.2, 0.5), seed=3)
    assert spread(*made(0.2, 0.5), seed=3) != spread(*made(0.2, 0.5), seed=4)


def test_nothing_to_compare():
    found = spread([1.0, 0.0], ["a", "a"], ["x", "y"])
    assert math.isnan(found["spread"]) and math.isnan(found["p"]) and found["lowest"] == ""
    alike = spread(*made(1.0, 1.0))
    assert (alike["spread"], alike["p"], alike["lowest"], alike["highest"]) == (0, 1, "", "")
