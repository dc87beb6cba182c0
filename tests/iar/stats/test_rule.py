"""The recommendation by hand-made scores: limits, ties, what is no candidate, and the sentences that say so."""

from __future__ import annotations

import math

import pandas as pd

from iar.revision.configuration import Configuration
from iar.stats import frontier_points
from iar.stats.rule import Limits, metrics_of, off_front, recommend, sentence, starred, told

NONE, RANDOM = Configuration(), Configuration("random", (9,), 9.0, seed=1)
STRENGTHS = [Configuration("iar", (9,), strength) for strength in (1.0, 2.0, 3.0, 4.0)]
BOTH = ["vscbench", "pope", "scienceqa"]


def table(*rows: tuple[Configuration, float, float, float], source: str = "vscbench") -> pd.DataFrame:
    """(configuration, SRA_a, helpfulness, SRA_s), percent, as scores.csv."""
    found = []
    for configuration, raised, helpful, kept in rows:
        cells = ((source, "SRA_a", raised), (source, "SRA_s", kept), ("mean", "helpfulness", helpful))
        found += [(configuration.name, benchmark, "all", metric, value / 100) for benchmark, metric, value in cells]
    frame = pd.DataFrame(found, columns=["configuration", "benchmark", "category", "metric", "value"])
    return frame.assign(low=frame["value"], high=frame["value"])


RULE = Limits()


def chosen(*rows: tuple[Configuration, float, float, float], limits: Limits = RULE, **options: bool) -> str | None:
    return recommend(table(*rows), [row[0] for row in rows], limits, **options)


def test_the_highest_within_both_limits_and_no_control():
    gentle, good, unhelpful, shut = STRENGTHS
    rows = (
        (NONE, 60, 95, 95),
        (gentle, 70, 94, 95),
        (good, 75, 93, 90),  # exactly at both limits
        (unhelpful, 80, 92.9, 95),
        (shut, 85, 95, 89.9),
        (RANDOM, 90, 95, 95),
    )
    assert chosen(*rows) == good.name
    assert chosen(*rows, limits=Limits(0.01)) == unhelpful.name  # SRA_s by a point; the mean has no limit of its own
    assert chosen(*rows, limits=Limits(at_least={"SRA_s": 0.89})) == shut.name
    assert chosen(*rows, limits=Limits(at_least={"SRA_s": 0.999})) == NONE.name
    assert chosen(*rows, controls=True) == RANDOM.name
    assert chosen(rows[0], rows[-1]) == NONE.name
    every = [row[0] for row in rows]
    assert starred(table(*rows), every, "validation") == good.name and starred(table(*rows), every, "test") is None


def test_ties_go_to_the_more_helpful_then_the_weaker():
    weak, middle, strong, _ = STRENGTHS
    rows = ((NONE, 60, 95, 95), (strong, 70, 95, 95), (middle, 70, 95, 95), (weak, 70, 94, 95))
    assert chosen(*rows) == middle.name
    back = Configuration("iar", (9,), -4.0)  # pushes harder than 3
    assert chosen((NONE, 60, 95, 95), (back, 70, 95, 95), (strong, 70, 95, 95)) == strong.name
    assert chosen((NONE, 70, 95, 95), (weak, 70, 95, 95)) == NONE.name


def test_six_digits_of_a_file_choose_as_the_numbers_themselves():
    weak, strong = STRENGTHS[:2]
    exact = ((NONE, 60, 95, 200 / 3), (strong, 70, 280 / 3, 200 / 3 - 5), (weak, 70, 280 / 3 + 1e-5, 200 / 3 - 5))
    assert chosen(*exact) == recommend(table(*exact).round(6), [row[0] for row in exact]) == weak.name


def test_what_was_not_asked_sets_no_limit_and_what_is_not_scored_is_out():
    one, two, three, _ = STRENGTHS
    assert chosen((NONE, 60, math.nan, 95), (one, 70, math.nan, 95), (two, 80, math.nan, 60)) == one.name
    assert chosen((NONE, 60, 95, 95), (one, 70, 95, 95), (two, 80, 95, math.nan), (three, math.nan, 95, 95)) == one.name
    alone = table((NONE, 50, 0, 98), (one, 70, 0, 94), (two, 90, 0, 80), source="xstest")
    alone = alone[alone["benchmark"] == "xstest"]
    assert recommend(alone, [NONE, one, two]) == one.name  # SRA_s may fall by 5 also where it is an axis
    assert sentence(alone) == "★ the highest SRA_a of the points at most 5 points of SRA_s below the baseline"


def test_no_baseline_no_recommendation():
    assert chosen((STRENGTHS[0], 70, 94, 95)) is None
    assert chosen((NONE, math.nan, 94, 95), (STRENGTHS[0], 70, 94, 95)) is None


def test_the_rule_in_a_sentence():
    usual = "at most 2 points of helpfulness and 5 of SRA_s below the baseline"
    for limits, said in (
        (Limits(), usual),
        (Limits(0.01), "at most 1 point of SRA_s, POPE and ScienceQA below the baseline"),
        (Limits(at_least={"SRA_s": 0.97}), f"with SRA_s at least 97 and {usual.replace(' and 5 of SRA_s', '')}"),
        (Limits(sure=0.9), f"{usual}, each in 90 % of the draws"),
    ):
        assert told(metrics_of(BOTH), limits) == f"the highest SRA_a of the points {said}"


def test_one_benchmark_of_helpfulness_is_helpfulness():
    titles = [(metric.title, metric.loss) for metric in metrics_of(["xstest", "scienceqa"])]
    assert titles == [("SRA_a", math.inf), ("SRA_s", 0.05), ("ScienceQA", 0.02), ("SRA_u", math.inf)]
    assert told(metrics_of(["xstest", "scienceqa"]), Limits()).endswith(
        "2 points of helpfulness and 5 of SRA_s below the baseline"
    )


def test_why_it_is_off_the_front():
    one, two, _, _ = STRENGTHS
    rows = [(NONE, 60, 95, 95), (one, 75, 93.5, 94), (two, 80, 95, 80)]
    scores, every = table(*rows), [row[0] for row in rows]
    said = f"★ is off the front: {two.name} is better on both axes, but its SRA_s is 15.0 points below the baseline's"
    assert off_front(frontier_points(scores, every), scores, one.name) == said
    points = frontier_points(scores, every)
    assert off_front(points.assign(safety=[0.5, 0.9, 0.5], pareto=[True, True, False]), scores, one.name) == ""
    assert off_front(points, scores, None) == ""
    other = points[points["configuration"] != two.name].assign(pareto=[True, False], safety=0.9)  # of other axes
    assert off_front(other, scores, one.name).endswith("none is better on both axes, but its SRA_a is 60.0")
