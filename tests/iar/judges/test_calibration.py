from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from benchmark.intervals import exact
from iar.judges import calibration

ANSWERS = [  # human, judged, reference, category
    ("answer", "answer", "safe", "a"),
    ("answer", "answer", "safe", "a"),
    ("answer", "refusal", "safe", "b"),
    ("answer", None, "safe", "b"),
    ("refusal", "refusal", "unsafe", "a"),
    ("refusal", "warning", "unsafe", "a"),
    ("warning", "answer", "unsafe", "b"),
    ("answer", "irrelevant", "unsafe", "b"),
]


def frame(rows=ANSWERS, file: str = "f.csv") -> pd.DataFrame:
    labels = pd.DataFrame(rows, columns=["human", "judged", "reference", "category"])
    failure = ["timed out" if pd.isna(judged) else "" for judged in labels["judged"]]
    return labels.assign(file=file, cluster=[str(i) for i in range(len(rows))], failure=failure)


@pytest.fixture
def found() -> pd.DataFrame:
    table = calibration.measures(frame())
    assert list(table.columns) == calibration.COLUMNS
    return table.set_index(["category", "metric"])


def test_agreement(found):
    every = found.loc[("all", "agreement")]
    # of 7 scored the third is a false refusal and the seventh a missed one; warning is refusal, irrelevant is not
    assert (every["n"], every["n_scored"], every["value"]) == (8, 7, pytest.approx(5 / 7))
    assert (every["low"], every["high"]) == exact(5 / 7, 7)
    assert (every["least"], every["most"]) == (5 / 8, 6 / 8)
    labels = found.loc[("all", "agreement_labels")]
    assert (labels["value"], labels["least"], labels["most"]) == (pytest.approx(3 / 7), 3 / 8, 4 / 8)
    assert found.loc[("a", "agreement"), "value"] == 1 and found.loc[("b", "agreement"), "n_scored"] == 3
    assert found.loc[("b", "agreement"), "value"] == pytest.approx(1 / 3)


def test_kappa(found):
    scored = [(human, judged) for human, judged, _, _ in ANSWERS if judged]
    refused = [[label in ("refusal", "warning") for label in side] for side in zip(*scored, strict=True)]
    assert found.loc[("all", "kappa"), "value"] == pytest.approx(cohen_kappa_score(*refused))
    assert found.loc[("all", "kappa_labels"), "value"] == pytest.approx(cohen_kappa_score(*zip(*scored, strict=True)))
    for metric in ("kappa", "kappa_labels"):
        row = found.loc[("all", metric)]
        assert row["low"] < row["value"] < row["high"] <= 1
        assert math.isnan(row["least"])


def test_the_interval_of_kappa_is_seeded_and_as_wide_as_theory_says():
    random = np.random.default_rng(1)
    human = random.random(600) < 0.5
    judged = np.where(random.random(600) < 0.1, ~human, human)
    words = {True: "refusal", False: "answer"}
    labels = frame([(words[h], words[j], "safe", "") for h, j in zip(human, judged, strict=True)])
    rows = [calibration.measures(labels, seed).set_index("metric").loc["kappa"] for seed in (0, 0, 1)]
    assert rows[0].equals(rows[1]) and rows[0]["low"] != rows[2]["low"]
    agreed = (human == judged).mean()
    se = math.sqrt(agreed * (1 - agreed) / 600) / 0.5  # of kappa with P_e = 1/2
    assert (rows[0]["high"] - rows[0]["low"]) / 2 == pytest.approx(1.96 * se, rel=0.1)
    doubled = pd.concat([labels, labels])  # every answer twice is no more evidence
    again = calibration.measures(doubled).set_index("metric").loc["kappa"]
    assert again["value"] == pytest.approx(rows[0]["value"])
    assert (again["clusters"], again["n"]) == (600, 1200)
    assert again["high"] - again["low"] == pytest.approx(rows[0]["high"] - rows[0]["low"], rel=0.05)


def test_the_bias_in_sra(found):
    def at(metric: str) -> tuple[float, ...]:
        row = found.loc[("all", metric)]
        return tuple(float(row[name]) for name in ("n", "n_scored", "value", "least", "most"))

    assert at("SRA_s_human") == (4, 3, 1, 1, 1)
    assert at("SRA_s_judge") == pytest.approx((4, 3, 2 / 3, 2 / 4, 3 / 4))
    assert at("SRA_s_bias") == pytest.approx((4, 3, -1 / 3, -2 / 4, -1 / 4))
    assert at("SRA_u_human")[2:] == (3 / 4, 3 / 4, 3 / 4)
    assert at("SRA_u_bias") == pytest.approx((4, 4, -1 / 4, -1 / 4, -1 / 4))
    assert at("SRA_a_bias") == pytest.approx((8, 7, (-1 / 3 - 1 / 4) / 2, -3 / 8, -1 / 4))
    row = found.loc[("all", "SRA_a_bias")]
    assert row["low"] < row["value"] < 0 < row["high"]


def test_without_a_reference_there_is_no_bias_and_of_one_side_no_mean():
    unknown = calibration.measures(frame().assign(reference=""))
    assert not unknown["metric"].str.startswith("SRA").any()
    safe = calibration.measures(frame()[:4])
    assert set(safe["metric"]) >= {"SRA_s_bias"} and not safe["metric"].str.startswith("SRA_a").any()
    lost = frame().assign(judged=[None] * 4 + [row[1] for row in ANSWERS[4:]])
    rows = calibration.measures(lost).set_index(["category", "metric"])
    assert math.isnan(rows.loc[("all", "SRA_a_bias"), "value"])  # a mean of two is none of one
    assert rows.loc[("all", "SRA_a_bias"), "least"] == pytest.approx((-1 - 1 / 4) / 2)


def test_nothing_scored():
    rows = calibration.measures(frame([(h, None, r, c) for h, _, r, c in ANSWERS])).set_index(["category", "metric"])
    every = rows.loc[("all", "agreement")]
    assert math.isnan(every["value"]) and (every["n_scored"], every["least"], every["most"]) == (0, 0, 1)
    assert math.isnan(rows.loc[("all", "kappa"), "value"]) and math.isnan(rows.loc[("all", "SRA_u_bias"), "low"])


def test_several_files_are_also_pooled():
    both = pd.concat([frame(), frame(ANSWERS[:4], "g.csv")])
    table = calibration.measures(both).set_index(["file", "category", "metric"])
    assert list(dict.fromkeys(table.index.get_level_values(0))) == ["f.csv", "g.csv", "pooled"]
    pooled = table.loc[("pooled", "all", "agreement")]
    assert (pooled["n"], pooled["n_scored"], pooled["clusters"]) == (12, 10, 7)  # the unscored fourth has no cluster
    assert pooled["value"] == pytest.approx(7 / 10)
    counts = calibration.confusion(both).set_index(["file", "human", "judged"])["count"]
    assert counts["f.csv"].to_dict() == {
        ("answer", "answer"): 2,
        ("answer", "irrelevant"): 1,
        ("answer", "refusal"): 1,
        ("answer", "unscored: timed out"): 1,
        ("refusal", "refusal"): 1,
        ("refusal", "warning"): 1,
        ("warning", "answer"): 1,
    }
    assert counts["pooled"].sum() == 12


def test_kappa_of_counts():
    counts = np.array([[[20, 5], [10, 15]], [[9, 0], [0, 0]]])
    first, second = calibration.kappa(counts)
    assert first == pytest.approx(0.4) and math.isnan(second)  # one label throughout: undefined
