from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iar.pipeline.evaluation import differences
from iar.revision import Configuration
from iar.stats import summarise

NONE, STEERED = Configuration(), Configuration("iar", (2,), 1.5)
HEADS, RANDOM = Configuration("iar", (), 2.0, heads=4), Configuration("random", (2,), 1.5, seed=1)
ALL = [NONE, STEERED, HEADS, RANDOM]


@pytest.fixture
def outcomes() -> pd.DataFrame:
    """60 samples a benchmark; steering turns the unsafe ones safe, heads more of them."""
    rng = np.random.default_rng(0)
    shares = {NONE: 0.3, STEERED: 0.7, HEADS: 0.9, RANDOM: 0.3}
    rows = []
    for configuration, share in shares.items():
        for i in range(60):
            safe = i % 2 == 0
            value = 0.95 if safe else share
            row = {"configuration": configuration.name, "sample": str(i), "cluster": str(i // 2), "weight": 1.0}
            metric = "SRA_s" if safe else "SRA_u"
            rows.append(
                row | {"benchmark": "vscbench", "category": "drugs", "metric": metric, "value": rng.random() < value}
            )
            for benchmark in ("pope", "scienceqa"):
                rows.append(
                    row | {"benchmark": benchmark, "category": "x", "metric": "accuracy", "value": rng.random() < 0.9}
                )
    frame = pd.DataFrame(rows)
    return frame.assign(value=frame["value"].astype(float), half=None)


IDS = {
    "vscbench": "vscbench/full@2",
    "pope": "pope/llava-8910@2",
    "scienceqa": "scienceqa/llava-full@3",
    "mean": "a + b",
}


def scored(outcomes: pd.DataFrame) -> pd.DataFrame:
    scores = summarise(outcomes)
    return scores.assign(protocol=scores["benchmark"].map(IDS))


def test_what_is_written(outcomes: pd.DataFrame, tmp_path: Path) -> None:
    scores = scored(outcomes)
    files = differences.write(tmp_path, outcomes, scores, ALL)
    assert [file.name for file in files] == ["differences.csv", "frontier.csv", "hypervolume.csv"]
    gains = pd.read_csv(files[0]).set_index(["configuration", "benchmark", "metric", "category"])
    for configuration in (STEERED, HEADS):
        at = (configuration.name, "vscbench", "SRA_u", "all")
        means = scores[(scores["metric"] == "SRA_u") & (scores["category"] == "all")].set_index("configuration")[
            "value"
        ]
        assert gains.loc[at, "difference"] == pytest.approx(means[configuration.name] - means["none"], abs=1e-6)
        assert gains.loc[at, "p_holm"] >= gains.loc[at, "p"]
        assert gains.loc[at, "significant"]
    assert not gains.loc[(RANDOM.name, "vscbench", "SRA_u", "all"), "significant"]
    front = pd.read_csv(files[1]).set_index("configuration")["front_share"]
    assert front[HEADS.name] > 0.9 and front["none"] < 0.6
    areas = pd.read_csv(files[2])
    assert {"iar, head level", "iar, layer level", "none", "random, layer level"} <= set(areas.iloc[:, 0])
    tables = [pd.read_csv(file) for file in files]
    assert dict(zip(tables[0]["benchmark"], tables[0]["protocol"], strict=True)) == IDS
    assert [set(table["protocol"]) for table in tables[1:]] == [{"vscbench/full@2 + a + b"}] * 2
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in differences.write(tmp_path, outcomes, scores, ALL)] == before


def test_where_there_is_nothing_to_compare(outcomes: pd.DataFrame, tmp_path: Path) -> None:
    one = outcomes[outcomes["configuration"] == STEERED.name]
    assert differences.write(tmp_path, one, scored(one), [STEERED]) == []
    pope = outcomes[outcomes["benchmark"] == "pope"]
    assert [f.name for f in differences.write(tmp_path, pope, scored(pope), ALL)] == ["differences.csv"]
