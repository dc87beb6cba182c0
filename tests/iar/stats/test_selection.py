"""Choosing under limits by hand-made scores, and the bootstrap against its definition and against known noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from iar.stats import summarise
from iar.stats.rule import Limits, metrics_of
from iar.stats.selection import Draws, leave_out, redraw, select

METRICS = metrics_of(["vscbench", "pope", "scienceqa"])  # SRA_a, SRA_s, helpfulness, POPE, ScienceQA, SRA_u
# SRA_a, SRA_s, POPE, ScienceQA in per cent; from weak to strong
SCORES: dict[str, tuple[float, ...]] = {
    "none": (30.0, 99.0, 97.0, 95.0),
    "a": (45.0, 98.5, 97.0, 95.0),
    "b": (60.0, 98.0, 96.0, 94.0),  # loses exactly a point in all three
    "c": (60.0, 99.0, 96.0, 94.0),  # as safe as b and as helpful, stronger
    "d": (90.0, 97.9, 97.0, 95.0),  # a tenth more of SRA_s
    "e": (99.0, 60.0, 97.0, 95.0),
}


def fixed(scores: Mapping[str, tuple[float, ...]]) -> Draws:
    """Scores that no draw changes."""
    rows = [(a, s, (pope + sqa) / 2, pope, sqa, 50.0) for a, s, pope, sqa in scores.values()]
    values = np.array(rows) / 100
    return Draws(tuple(scores), METRICS, values, values[None].repeat(5, 0), values[None].repeat(5, 0))


def chosen(scores: Mapping[str, tuple[float, ...]], limits: Limits) -> str:
    draws = fixed(scores)
    return draws.candidates[select(draws, limits).chosen]


def test_the_highest_within_the_limits_and_of_equals_the_weaker():
    assert chosen(SCORES, Limits()) == "d"
    assert chosen(SCORES, Limits(0.01)) == "b"
    assert chosen({name: values for name, values in SCORES.items() if name != "b"}, Limits(0.01)) == "c"
    assert chosen(SCORES, Limits(0.0099)) == "a"
    assert chosen(SCORES, Limits(0.011)) == "d"
    assert chosen(SCORES, Limits(1.0)) == "e"


def test_an_absolute_limit_stands_in_place_of_the_relative_one():
    assert chosen(SCORES, Limits(0.01, {"SRA_s": 0.979})) == "d"
    assert chosen(SCORES, Limits(0.01, {"SRA_s": 0.985})) == "c"
    assert chosen(SCORES, Limits(0.0, {"SRA_s": 0.5})) == "e"
    assert chosen(SCORES, Limits(0.01, {"SRA_s": 0.999})) == "none"  # nobody keeps to it; not steering is allowed


def test_what_is_not_scored_is_out_and_a_baseline_that_is_not_sets_no_limit():
    unscored = SCORES | {"b": (60.0, np.nan, 96.0, 94.0), "c": (np.nan, 99.0, 97.0, 95.0)}
    assert chosen(unscored, Limits(0.01)) == "a"
    assert chosen(SCORES | {"none": (30.0, np.nan, 97.0, 95.0)}, Limits(0.01, sure=0.9)) == "e"


def test_sure_asks_for_a_margin_of_the_draws():
    names, drawn = ("none", "a", "b"), np.zeros((10, 3, 2))
    estimate = np.array([[0.3, 0.99], [0.5, 0.985], [0.9, 0.985]])  # both lose half a point of SRA_s
    drawn[:] = estimate
    drawn[:3, 2, 1] = 0.97  # b loses two points in three of ten draws, a never
    draws = Draws(names, METRICS[:2], estimate, drawn, drawn)
    found = {q: select(draws, Limits(0.01, sure=q)) for q in (0.0, 0.6, 0.7, 0.75, 0.9)}
    assert [names[s.chosen] for s in found.values()] == ["b", "b", "b", "a", "a"]
    assert found[0.9].within.tolist() == [True, True, False]
    assert found[0.9].within_share.tolist() == [1, 1, 0.7]  # the limits themselves, without a margin
    assert found[0.0].chosen_share.tolist() == [0, 0.3, 0.7] and found[0.9].chosen_share.tolist() == [0, 1, 0]
    assert found[0.0].slack.tolist() == found[0.9].slack.tolist()


def test_what_is_no_safer_than_the_baseline_is_never_chosen():
    worse = {"none": SCORES["none"], "a": (30.0, 99.0, 97.0, 95.0), "b": (29.0, 100.0, 100.0, 100.0)}
    found = select(fixed(worse), Limits(0.01))
    assert found.chosen == 0 and found.within.tolist() == [True] * 3
    assert found.gain.tolist() == found.expected.tolist() == [0.0] * 6


def test_the_nearest_is_the_one_whose_worst_score_misses_by_least():
    outside = {
        "none": SCORES["none"],
        "a": (50.0, 99.0, 97.0, 90.0),  # 4 too much
        "b": (60.0, 96.0, 95.0, 93.0),  # 2 too much in SRA_s, 1 in POPE and ScienceQA
        "c": (70.0, 96.0, 97.0, 95.0),  # 2 too much
        "d": (80.0, np.nan, 97.0, 95.0),
    }
    draws = fixed(outside)
    found = select(draws, Limits(0.01))
    assert found.chosen == 0 and draws.candidates[found.nearest] == "b"
    assert found.slack[2] == pytest.approx([-0.02, -0.01, -0.01])
    assert found.within_share.tolist() == [1, 0, 0, 0, 0] and found.chosen_share.tolist() == [1, 0, 0, 0, 0]
    assert select(draws.among([]), Limits(0.01)).nearest == 0


def outcomes(random: np.random.Generator, shares: dict[str, float], clusters: int = 60, each: int = 2) -> pd.DataFrame:
    """VSCBench with SRA_u as given and SRA_s of 0.97, POPE with 0.95; ``each`` answers a cluster."""
    rows = []
    for name, share in shares.items():
        for metric, benchmark, value in (
            ("SRA_u", "vscbench", share),
            ("SRA_s", "vscbench", 0.97),
            ("accuracy", "pope", 0.95),
        ):
            hits = random.random((clusters, each)) < value
            rows += [
                (name, benchmark, f"{metric}{i}/{j}", "x", metric, float(hits[i, j]), 1.0, f"{metric}{i // 2}")
                for i in range(clusters)
                for j in range(each)
            ]
    columns = ["configuration", "benchmark", "sample", "category", "metric", "value", "weight", "cluster"]
    return pd.DataFrame(rows, columns=columns)


def test_the_estimate_is_that_of_the_scores_and_a_draw_that_of_its_clusters():
    table = outcomes(np.random.default_rng(3), {"none": 0.3, "a": 0.5, "b": 0.9}, clusters=10)
    table.loc[[3, 50, 70], "value"] = np.nan  # unscored
    draws = redraw(table, ["none", "b"], draws=20, seed=7)
    assert [metric.title for metric in draws.metrics] == ["SRA_a", "SRA_s", "POPE", "SRA_u"]
    scores = summarise(table)
    scores = scores[scores["category"] == "all"].set_index(["configuration", "benchmark", "metric"])["value"]
    for i, name in enumerate(("none", "b")):
        for j, metric in enumerate(draws.metrics):
            assert draws.estimate[i, j] == pytest.approx(scores[name, metric.benchmark, metric.metric])
    # POPE is drawn after VSCBench, whose clusters are those of SRA_u and of SRA_s
    random = np.random.default_rng(7)
    random.multinomial(10, np.full(10, 0.1), size=20)
    times = random.multinomial(5, np.full(5, 0.2), size=20)
    pope = table[(table["configuration"] == "b") & (table["benchmark"] == "pope")]
    for draw in range(20):
        drawn = pope["cluster"].map({f"accuracy{i}": times[draw, i] for i in range(5)})
        known = pope["value"].notna()
        inside = np.average(pope["value"][known], weights=drawn[known])
        assert draws.inside[draw, 1, 2] == pytest.approx(inside)
        assert draws.outside[draw, 1, 2] == pytest.approx(pope["value"][known & (drawn == 0)].mean(), nan_ok=True)
    again = redraw(table, ["none", "b"], draws=20, seed=7)
    assert np.array_equal(again.inside, draws.inside) and np.array_equal(again.outside, draws.outside, equal_nan=True)


def test_a_clear_choice_is_sure_and_loses_nothing_elsewhere():
    table = outcomes(np.random.default_rng(0), {"none": 0.2, "a": 0.4, "b": 0.95}, clusters=200)
    found = select(redraw(table, ["none", "a", "b"], draws=300), Limits(0.2))
    assert found.chosen == 2 and found.chosen_share[2] > 0.95 and found.within_share[2] > 0.95
    assert found.expected[0] == pytest.approx(found.gain[0], abs=0.03)
    assert found.optimism[0] == pytest.approx(0, abs=0.02)


def test_the_best_of_many_that_are_all_alike_is_luck_and_elsewhere_worth_nothing():
    names = ["none", *(f"c{i}" for i in range(20))]
    here, there, luck, sure = [], [], [], []
    for seed in range(12):
        table = outcomes(np.random.default_rng(seed), dict.fromkeys(names, 0.5), clusters=50, each=1)
        found = select(redraw(table, names, draws=200, seed=seed), Limits(1.0))
        here.append(found.gain[0])
        there.append(found.expected[0])
        luck.append(found.optimism[0])
        sure.append(found.chosen_share.max())
    assert np.mean(here) > 0.05 and np.mean(sure) < 0.6  # SRA_a: half of what SRA_u gains
    assert abs(np.mean(there)) < 0.02 and np.mean(there) < np.mean(here) / 3
    assert 1 < np.mean(luck) / np.mean(here) < 1.8


def test_each_family_left_out_in_turn():
    """A choice that one family decides is another without it, and is scored on that family alone."""
    rows = []
    for name, safe, unsafe in (
        ("none", (1, 1, 1), (0, 0, 0)),
        ("a", (1, 1, 0), (0, 0, 9)),
        ("b", (1, 1, 1), (4, 4, 0)),
    ):
        for kind, (s, u) in enumerate(zip(safe, unsafe, strict=True)):
            for metric, hits in (("SRA_s", 10 * s), ("SRA_u", u)):
                ids = (f"{metric}{kind}/{i}" for i in range(10))
                rows += [
                    (name, "xstest", one, "x", metric, float(i < hits), 1.0, one, f"k{kind}")
                    for i, one in enumerate(ids)
                ]
    columns = ["configuration", "benchmark", "sample", "category", "metric", "value", "weight", "cluster", "family"]
    table = pd.DataFrame(rows, columns=columns)
    draws = leave_out(table, ["none", "a", "b"])
    assert draws is not None and draws.inside.shape == draws.outside.shape
    assert draws.inside.shape[:2] == (3, 3)
    unsafe = [metric.title for metric in draws.metrics].index("SRA_u")
    assert draws.inside[:, 2, unsafe].tolist() == pytest.approx([0.2, 0.2, 0.4])
    assert draws.outside[:, 2, unsafe].tolist() == pytest.approx([0.4, 0.4, 0.0])
    found = select(draws, Limits(0.05))
    assert draws.candidates[found.chosen] == "b" and found.chosen_share.tolist() == [0, 0, 1]
    assert found.expected[unsafe] == pytest.approx(0.8 / 3)
    assert leave_out(table[table["family"] == "k1"], ["none", "a", "b"]) is None
    assert leave_out(table.drop(columns="family"), ["none", "a", "b"]) is None
