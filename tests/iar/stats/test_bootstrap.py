from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from iar.stats import clustered, hypervolumes, resample, summarise
from iar.stats.draws import Draws


def outcomes(chances, samples=60, seed=0):
    """(SRA_s, SRA_u, POPE, ScienceQA) chances of each configuration; three samples a cluster, alike within it."""
    rng = np.random.default_rng(seed)
    parts = []
    for benchmark, metrics in {
        "vscbench": ("SRA_s", "SRA_u"),
        "pope": ("accuracy",),
        "scienceqa": ("accuracy",),
    }.items():
        cluster = np.arange(samples) // 3
        hard = rng.random(samples // 3)[cluster] * 0.5 + rng.random(samples) * 0.5  # the same for all configurations
        for name, four in chances.items():
            if benchmark == "vscbench":
                metric, chance = np.array(metrics)[np.arange(samples) % 2], np.array(four[:2])[np.arange(samples) % 2]
            else:
                metric, chance = metrics[0], four[2 if benchmark == "pope" else 3]
            frame = {"configuration": name, "benchmark": benchmark, "metric": metric, "category": "c"}
            frame |= {"value": (hard < chance).astype(float), "cluster": [f"i{c}" for c in cluster]}
            parts.append(pd.DataFrame(frame | {"sample": [str(i) for i in range(samples)]}))
    return pd.concat(parts, ignore_index=True)


CHANCES = {"none": (0.9, 0.4, 0.8, 0.7), "iar": (0.8, 0.7, 0.7, 0.7), "copy": (0.8, 0.7, 0.7, 0.7)}


@pytest.fixture(scope="module")
def frame():
    return outcomes(CHANCES)


@pytest.fixture(scope="module")
def draws(frame):
    return resample(frame, draws=2000)


def test_the_estimate_is_that_of_the_scores(frame, draws):
    frame = frame.copy()
    frame.loc[::17, "value"] = np.nan
    frame["weight"] = 1.0 + frame.index % 2
    table = summarise(frame).set_index(["configuration", "category", "metric"])["value"]
    for place, name in enumerate(draws.configurations):
        for safety in ("SRA_a", "SRA_u"):
            expected = (table[name, "all", "helpfulness"], table[name, "all", safety])
            assert resample(frame, safety, draws=1).estimate[place] == pytest.approx(expected)


def test_draws_spread_as_the_clustered_error_says(frame, draws):
    part = frame[(frame["configuration"] == "iar") & (frame["benchmark"] == "vscbench")]
    se = clustered(part["value"], list(part["cluster"]), list(part["metric"])).se
    assert draws.of(["iar"])[:, 0, 1].std() == pytest.approx(se, rel=0.1)
    assert draws.points.mean(axis=0) == pytest.approx(draws.estimate, abs=0.01)


def test_one_draw_serves_all_configurations(draws):
    same = draws.of(["iar", "copy"])
    assert np.array_equal(same[:, 0], same[:, 1]) and np.ptp(same[:, 0]) > 0.1


def test_the_seed_decides(frame, draws):
    assert np.array_equal(resample(frame, draws=3, seed=1).points, resample(frame, draws=3, seed=1).points)
    assert not np.array_equal(resample(frame, draws=3, seed=1).points, resample(frame, draws=3, seed=2).points)


def test_what_was_not_asked_is_nan(frame):
    found = resample(frame[frame["benchmark"] != "vscbench"], draws=2)
    assert np.isnan(found.points[..., 1]).all() and not np.isnan(found.points[..., 0]).any()
    assert np.isnan(found.of(["nobody"])).all()
    assert np.isnan(hypervolumes(found, {"iar": "iar"})["hypervolume"]).all()


def test_hypervolumes_by_hand():
    # helpfulness, safety; baseline, a, b. From 0: none .8·.5 = .4; a adds .6 · .3 above it: .58; b .7·.6: .4 + .7·.1
    points = np.array([[0.8, 0.5], [0.6, 0.8], [0.7, 0.6]])
    found = Draws(["none", "a", "b"], points, np.stack([points] * 3))
    groups = {"none": "baseline", "a": "strong", "b": "gentle", "elsewhere": "gentle"}
    table = hypervolumes(found, groups).set_index(["group", "against"])
    assert table["hypervolume"].to_dict() == pytest.approx(
        {
            ("baseline", ""): 0.4,
            ("strong", ""): 0.58,
            ("gentle", ""): 0.47,
            ("strong", "baseline"): 0.18,
            ("gentle", "baseline"): 0.07,
            ("gentle", "strong"): -0.11,
        }
    )
    assert np.allclose(table["low"], table["hypervolume"]) and np.allclose(table["high"], table["hypervolume"])
    assert np.allclose(table["optimism"], 0)


def test_the_baseline_as_the_corner_moves_with_the_draws():
    first = np.array([[0.5, 0.5], [0.7, 0.6]])
    found = Draws(["none", "a"], first, np.stack([first + 0.1, first - 0.1]))  # both harder or easier alike
    row = hypervolumes(found, {"a": "a"}, reference="baseline").iloc[0]
    assert row[["hypervolume", "low", "high"]].tolist() == pytest.approx([0.02] * 3)
    with pytest.raises(ValueError, match="baseline"):
        hypervolumes(found, {"a": "a"}, reference="baseline", baseline="nobody")


def test_two_methods_alike_do_not_differ(draws):
    table = hypervolumes(draws, {"none": "none", "iar": "iar", "copy": "copy"}).set_index(["group", "against"])
    assert table.loc[("copy", "iar"), ["hypervolume", "low", "high"]].tolist() == [0, 0, 0]
    row = table.loc["iar", "none"]
    assert 0 < row["low"] < row["hypervolume"]  # safety .65 to .75 for helpfulness .75 to .7


def test_many_equal_points_look_better_than_one_and_the_interval_knows():
    """20 configurations that are the baseline but for chance: the front gains an area that is none."""
    rng = np.random.default_rng(0)
    held = gained = 0
    for seed in range(20):
        frame = outcomes({"none": (0.8, 0.6, 0.8, 0.8)}, samples=150, seed=seed)
        noisy = [frame]
        for number in range(20):
            copy = frame.assign(configuration=f"iar{number}")
            flip = rng.random(len(copy)) < 0.1
            copy.loc[flip, "value"] = rng.permutation(copy.loc[flip, "value"].to_numpy())
            noisy.append(copy)
        draws = resample(pd.concat(noisy), draws=200)
        groups = {"none": "none"} | {f"iar{n}": "iar" for n in range(20)}
        row = hypervolumes(draws, groups).set_index(["group", "against"]).loc["iar", "none"]
        gained += row["hypervolume"] > 0.01
        held += row["low"] <= 0.0
        assert row["optimism"] > 0
    assert gained >= 15 and held >= 15
