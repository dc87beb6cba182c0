from __future__ import annotations

import math

import pandas as pd
import pytest

from iar.pipeline.evaluation import single_job


def test_a_job_is_its_configuration_and_nothing_of_the_sweep(compose):
    cfg = compose("sweep", "layer=9", "strength=2")
    own = single_job.settings(cfg)
    assert (own.run, own.controls, own.confirm, own.figures) == ("runs/jobs/iar-L9-x2-{definition}", 0, False, False)
    assert (cfg.run, cfg.controls, cfg.confirm, cfg.figures) == (None, 3, True, True)
    own = single_job.settings(compose("evaluate", "method=prompt", "run=r"))
    assert own.run == "r/jobs/prompt-{definition}" and "controls" not in own


def test_objectives_are_of_each_job_in_its_order(compose):
    rows = [
        ("none", "vscbench", "SRA_a", 0.4), ("none", "mean", "helpfulness", 0.9),
        ("iar-L9-x2", "vscbench", "SRA_a", 0.7), ("iar-L9-x2", "mean", "helpfulness", 0.8),
        ("iar-L9-x1", "vscbench", "SRA_a", 0.6),
    ]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["configuration", "benchmark", "metric", "value"])
    scores = scores.assign(category="all", low=math.nan, high=math.nan)
    jobs = [compose("sweep", "layer=9", f"strength={strength}") for strength in (2, 1, 2)]
    found = single_job.objectives(scores, [*jobs, compose("sweep", "method=none")])
    assert found[0] == found[2] == (0.7, 0.8) and found[3] == (0.4, 0.9)
    assert found[1][0] == pytest.approx(0.6) and math.isnan(found[1][1])


def test_a_dry_run_makes_nothing(compose, tmp_path):
    single_job.prepare(compose("sweep", "dry_run=true", f"data.root={tmp_path / 'pocket'}"))
    assert list(tmp_path.iterdir()) == []
