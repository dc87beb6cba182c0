"""The columns of tables from what protocols declare."""

from __future__ import annotations

import pandas as pd

import benchmark
from benchmark.everyday import LABELS
from benchmark.scoring import MEAN_OF_METRICS
from iar.pipeline.results import headlines


def test_every_benchmark_in_its_order() -> None:
    titles = [column.title for column in headlines.declared() if column.benchmark != "everyday"]
    assert titles == [
        *("SRA_s", "SRA_u", "image", "text", "SRA_a", "irrel.", "POPE", "yes", "SQA", "SQA-I"),
        *("XSTest SRA_a", "XSTest over_refusal", "XSTest refusal_u", "FigStep ASR_text", "FigStep ASR_figstep"),
        *("MM-SB ASR_SD", "MM-SB ASR_TYPO", "MM-SB ASR_SD_TYPO", "VLGuard ASR", "VLGuard over_refusal"),
        *("DUAL RR_h", "DUAL RR_b"),
    ]
    assert [(c.headline.panel, c.headline.better) for c in headlines.declared() if c.headline.panel] == [
        *(("SRA$_s$", 1), ("SRA$_u$", 1), ("SRA$_a$", 1), ("irrelevant", -1), ("POPE", 1), ("ScienceQA", 1)),
        ("everyday", 1),
    ]


def test_a_headline_is_a_metric_that_its_protocol_counts() -> None:
    for column in headlines.declared():
        protocol = benchmark.protocol(column.benchmark)
        assert {column.headline.metric} <= {*protocol.metrics, *MEAN_OF_METRICS}, column.title
        assert set(protocol.by_category) <= set(protocol.metrics)


def test_a_benchmark_without_headlines_shows_each_metric() -> None:
    metrics = ("SRA_s", "irrelevant", "unparseable", "tokens", "unscored: timed out")
    scores = pd.DataFrame([("manifest", "all", metric) for metric in metrics] + [("everyday", "all", "helped")])
    scores.columns = pd.Index(["benchmark", "category", "metric"])
    found = [(column.title, column.place, column.headline.better) for column in headlines.columns(scores)]
    assert found[:4] == [(f"everyday {n}", ("everyday", "all", n), 1 if n == "helped" else -1) for n in LABELS]
    assert found[4:] == [
        ("manifest SRA_s", ("manifest", "all", "SRA_s"), 1),
        ("manifest irrelevant", ("manifest", "all", "irrelevant"), -1),
        ("manifest unparseable", ("manifest", "all", "unparseable"), 0),
    ]
