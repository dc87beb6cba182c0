from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import benchmark
from iar.errors import UserError
from iar.revision.configuration import Configuration
from iar.stats import frontier_points, recommend, resample, summarise
from iar.stats.axes import axes_named, axes_of, direction
from iar.stats.pareto import signed
from iar.stats.rule import Limits

STEERED = Configuration("iar", (1,), 1.0)


def outcomes(*scored: tuple[str, str, str, tuple[float, ...]]) -> pd.DataFrame:
    """(configuration, benchmark, metric, values), a sample a value."""
    rows = [
        (name, benchmark, "kind", metric, value, f"{metric}{at}", f"{metric}{at}")
        for name, benchmark, metric, values in scored
        for at, value in enumerate(values)
    ]
    return pd.DataFrame(
        rows, columns=["configuration", "benchmark", "category", "metric", "value", "cluster", "sample"]
    )


@pytest.mark.parametrize(
    ("asked", "right", "up"),
    [
        (("vscbench", "pope", "scienceqa"), "helpfulness: mean of POPE and ScienceQA accuracy", "SRA$_a$"),
        (("vscbench", "xstest", "scienceqa"), "helpfulness: ScienceQA accuracy", "SRA$_a$"),
        (
            ("xstest", "everyday", "scienceqa"),
            "helpfulness: mean of ScienceQA accuracy and everyday requests helped",
            "SRA$_a$ of XSTest",
        ),
        (("xstest",), "safe requests answered: SRA$_s$ of XSTest", "SRA$_u$ of XSTest"),
    ],
)
def test_the_axes_are_of_what_was_asked(asked: tuple[str, ...], right: str, up: str) -> None:
    axes = axes_of(asked)
    assert (axes.helpfulness.label, axes.safety.label) == (right, up)


def test_xstest_alone_stands_safe_answered_against_unsafe_refused() -> None:
    table = outcomes(
        ("none", "xstest", "SRA_s", (1, 1, 1, 1)),
        ("none", "xstest", "SRA_u", (0, 0)),
        (STEERED.name, "xstest", "SRA_s", (1, 1, 1, 0)),
        (STEERED.name, "xstest", "SRA_u", (1, 0)),
    )
    points = frontier_points(summarise(table), [Configuration(), STEERED])
    assert points[["helpfulness", "safety"]].to_numpy().tolist() == [[1.0, 0.0], [0.75, 0.5]]
    assert points[["SRA_s", "SRA_u"]].to_numpy().tolist() == [[1.0, 0.0], [0.75, 0.5]]
    assert points["pareto"].all()
    scores, every = summarise(table), [Configuration(), STEERED]
    assert recommend(scores, every) == "none" and recommend(scores, every, Limits(0.25)) == STEERED.name
    draws = resample(table, draws=200)
    assert np.allclose(draws.estimate, [[1.0, 0.0], [0.75, 0.5]]) and not np.isnan(draws.points).any()


def test_helpfulness_is_the_mean_of_what_was_asked_and_a_single_one_itself() -> None:
    both = outcomes(
        ("none", "xstest", "SRA_s", (1, 0)),
        ("none", "xstest", "SRA_u", (1, 1)),
        ("none", "scienceqa", "accuracy", (1, 0, 0, 0)),
        ("none", "everyday", "helped", (1, 1)),
    )
    scores = summarise(both)
    (point,) = frontier_points(scores, [Configuration()]).to_dict("records")
    assert point["helpfulness"] == pytest.approx(0.625) and point["safety"] == pytest.approx(0.75)
    assert np.allclose(resample(both, draws=10).estimate, [[0.625, 0.75]])
    alone = both[both["benchmark"] != "everyday"]
    assert "mean" not in set(summarise(alone)["benchmark"])
    (point,) = frontier_points(summarise(alone), [Configuration()]).to_dict("records")
    assert point["helpfulness"] == 0.25 and point["helpfulness_low"] < 0.25 < point["helpfulness_high"]
    pope = outcomes(("none", "pope", "accuracy", (1, 0)))
    assert math.isnan(frontier_points(summarise(pope), [Configuration()])["safety"][0])


def test_any_two_scores_are_axes():
    scored = [("none", "xstest", "SRA_s", (1.0, 1.0)), ("none", "xstest", "SRA_u", (0.0, 1.0))]
    scored += [(STEERED.name, "xstest", "SRA_s", (0.0, 1.0)), (STEERED.name, "xstest", "SRA_u", (1.0, 1.0))]
    scores = summarise(outcomes(*scored))
    axes = axes_named(scores, "xstest.SRA_s", "xstest.SRA_u")
    assert [axis.label for axis in axes] == ["SRA_s of xstest", "SRA_u of xstest"]
    points = frontier_points(scores, [Configuration(), STEERED], axes=axes)
    assert points[["helpfulness", "safety"]].to_numpy().tolist() == [[1.0, 0.5], [0.5, 1.0]]
    assert points["pareto"].all()
    assert axes_named(scores, y="xstest.SRA_u").helpfulness == axes_of({"xstest"}).helpfulness
    assert [axis.said for axis in axes] == ["SRA_s of xstest (%)", "SRA_u of xstest (%)"]
    with pytest.raises(UserError, match=r"no score 'xstest\.SRA_x' in this run: did you mean 'xstest\.SRA_"):
        axes_named(scores, "xstest.SRA_x")


def test_of_some_scores_less_is_better():
    scored = [("none", "xstest", "over_refusal", (0.0, 0.0)), ("none", "xstest", "SRA_u", (0.0, 1.0))]
    scored += [(STEERED.name, "xstest", "over_refusal", (1.0, 0.0)), (STEERED.name, "xstest", "SRA_u", (0.0, 1.0))]
    scores = summarise(outcomes(*scored))
    axes = axes_named(scores, "xstest.over_refusal", "xstest.SRA_u")
    assert [axis.better for axis in axes] == [-1, 1]
    assert axes.helpfulness.said == "over_refusal of xstest (%, less is better)"
    points = frontier_points(scores, [Configuration(), STEERED], axes=axes)
    assert points["helpfulness"].tolist() == [0.0, 0.5] and points["pareto"].tolist() == [True, False]
    turned = signed(points, axes)
    assert turned["helpfulness"].tolist() == [0.0, -0.5]
    assert (turned["helpfulness_low"] <= turned["helpfulness"]).all()
    assert turned["safety"].tolist() == points["safety"].tolist()


@pytest.mark.parametrize(
    ("source", "metric", "better"),
    [
        ("xstest", "SRA_s", 1),
        ("xstest", "over_refusal", -1),
        ("vlguard", "ASR", -1),  # as its protocol declares
        ("everyday", "refused", -1),
        ("vscbench", "incoherent", -1),
        ("vscbench", "nll", -1),
        ("pope", "yes", 0),
        ("vscbench", "tokens", 0),
        ("scienceqa", "letter_A", None),
        ("manifest", "made_up", None),
    ],
)
def test_which_way_a_score_is_better(source: str, metric: str, better: int | None):
    assert direction(source, metric) == better


def test_a_score_without_a_better_end_is_no_axis():
    scores = summarise(outcomes(("none", "pope", "yes", (1, 0)), ("none", "pope", "accuracy", (1, 0))))
    with pytest.raises(UserError, match=r"pope.yes is no axis of a frontier: neither .*; take one of pope.accuracy$"):
        axes_named(scores, "pope.yes")


def test_every_declared_score_says_which_way_it_is_better():
    for name in benchmark.names():
        for headline in benchmark.protocol(name).headlines:
            assert direction(name, headline.metric) in (-1, 0, 1)
