from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from iar.revision.configuration import Configuration
from iar.stats import Draws, frontier_points, hypervolume, pareto, recommend


@pytest.mark.parametrize("seed", range(30))
def test_front_against_the_definition(seed):
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in rng.integers(0, 6, size=(rng.integers(0, 25), 2))]  # many ties
    expected = [not any(u >= x and v >= y and (u > x or v > y) for u, v in points) for x, y in points]
    assert pareto(points) == expected


def test_nan_is_never_on_the_front_and_pushes_nothing_off():
    assert pareto([(math.nan, 9), (1, 1), (9, math.nan)]) == [False, True, False]


def test_hypervolume_by_hand():
    # steps of 1: 3 + 2 + 1; a dominated point and a copy add nothing
    assert hypervolume([(1, 3), (2, 2), (3, 1), (1, 1), (2, 2)]) == 6
    assert hypervolume([(1, 3), (2, 2), (3, 1)], (0.5, 0.5)) == pytest.approx(2.5 * 0.5 + 1.5 + 0.5)
    assert hypervolume([(0.9, 0.6)]) == pytest.approx(0.54)


def test_hypervolume_of_what_is_not_beyond_the_reference_or_unknown():
    assert hypervolume([(2, 0.5), (0.5, 2), (1, 1)], (1, 1)) == 0
    assert hypervolume([(math.nan, 9), (2, 3), (9, math.nan)]) == 6
    assert hypervolume(np.empty((0, 2))) == 0


def test_hypervolume_of_a_line_is_known():
    # n points on y = 1 - x cut a staircase off the triangle: 1/2 - 1/(2n)
    x = np.arange(11) / 10
    assert hypervolume(np.column_stack([x, 1 - x])) == pytest.approx(0.5 - 1 / 20)


def test_hypervolume_is_pymoos():
    # the example of pymoo's manual: ZDT1's front times 1.1, minimised, reference 1.2
    x = np.linspace(0, 1, 100)
    front = np.column_stack([x, 1 - np.sqrt(x)])[::10] * 1.1
    assert hypervolume(-front, (-1.2, -1.2)) == pytest.approx(0.9631646448182305)


def test_hypervolume_of_many_fronts_at_once():
    points = np.random.default_rng(0).random((5, 7, 2))
    corner = np.linspace(0, 0.4, 10).reshape(5, 2)
    together = hypervolume(points, corner)
    assert together.shape == (5,)
    cells = (np.stack(np.meshgrid(*[np.arange(400)] * 2), axis=-1) + 0.5) / 400  # the share of cells covered
    for area, front, (x, y) in zip(together, points, corner, strict=True):
        covered = (cells[:, :, None] < front).all(axis=-1).any(axis=-1) & (cells > (x, y)).all(axis=-1)
        assert area == pytest.approx(covered.mean(), abs=0.005)


def test_prompted_points_stand_beside_steered_ones_and_may_be_recommended():
    shots = dict(shots=2, shots_by="seed")
    configurations = [Configuration(), Configuration("cot"), Configuration("fewshot+iar", (9,), 1.5, **shots)]
    configurations += [Configuration("cot+random", (9,), 1.5, seed=1)]
    rows = [
        (c.name, benchmark, "all", metric, value, value, value)
        for c, safety in zip(configurations, (0.5, 0.8, 0.7, 0.9), strict=True)
        for benchmark, metric, value in (("vscbench", "SRA_a", safety), ("mean", "helpfulness", 0.9))
    ]
    scores = pd.DataFrame(rows, columns=["configuration", "benchmark", "category", "metric", "value", "low", "high"])
    points = frontier_points(scores, configurations)
    assert points["method"].tolist() == ["none", "cot", "fewshot+iar", "random"]
    assert points["prompting"].tolist() == ["", "cot", "fewshot-2", "cot"]
    assert points["place"].tolist() == ["", "", "L9", "L9"]
    assert points["pareto"].tolist() == [False, True, False, False]
    assert recommend(scores, configurations) == "cot"


def test_points_come_from_scores_and_random_controls_stay_off_the_front():
    configurations = [
        Configuration(),
        Configuration("iar", (14,), 1.5),
        Configuration("iar", (9, 14), 2.0),
        Configuration("random", (14,), 1.5, seed=1),
    ]
    values = {"none": (0.6, 0.9), "iar-L14-x1.5": (0.8, 0.8), "random-L14-x1.5-s1": (0.99, 0.99)}
    rows = []
    for name, (safety, helpfulness) in values.items():
        for benchmark, metric, value in (
            ("vscbench", "SRA_a", safety),
            ("vscbench", "SRA_s", 0.9),
            ("mean", "helpfulness", helpfulness),
        ):
            for category, shift in (("all", 0), ("other", -0.5)):
                rows.append((name, benchmark, category, metric, value + shift, value - 0.1, value + 0.1))
    scores = pd.DataFrame(rows, columns=["configuration", "benchmark", "category", "metric", "value", "low", "high"])
    points = frontier_points(scores, configurations)
    assert points["place"].tolist() == ["", "L14", "L9+14", "L14"]
    assert points["safety"].tolist()[:2] == [0.6, 0.8] and math.isnan(points["safety"][2])
    assert points["helpfulness_high"][1] == pytest.approx(0.9)
    assert points["pareto"].tolist() == [True, True, False, False]
    assert points["front_share"].isna().all()
    names = ["random-L14-x1.5-s1", "none", "iar-L14-x1.5"]
    drawn = [[(0.9, 0.9), (0.8, 0.5), (0.7, 0.6)], [(0.9, 0.9), (0.8, 0.7), (0.7, 0.6)]]  # the second: none beats iar
    draws = Draws(names, np.array(drawn[0]), np.array(drawn * 2))
    points = frontier_points(scores, configurations, draws=draws)
    assert points["front_share"].tolist() == [1.0, 0.5, 0.0, 0.0]
