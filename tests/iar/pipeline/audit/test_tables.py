"""Tables of an audit against numbers counted by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from scipy import stats

from benchmark.vscbench import MODES
from iar.pipeline.audit.tables import tables
from iar.stats import holm


def row(model, sample, half, category, metric, value, cluster):
    return {
        "configuration": model, "benchmark": "vscbench", "sample": sample, "category": category, "half": half,
        "metric": metric, "value": value, "weight": 1.0, "cluster": cluster,
    }  # fmt: skip


def text(model, answers, metric="SRA_u", first=0):
    """Rows of the text half: mode -> the value of each row, None for unscored."""
    return [
        row(
            model,
            f"text/{first + i}/{mode}",
            "text",
            mode,
            metric,
            math.nan if v is None else float(v),
            f"text/{first + i}",
        )
        for mode, values in answers.items()
        for i, v in enumerate(values)
    ]


def image(model, category, refused, of, helped, among):
    return [
        row(model, f"image/{category}/{i}/{kind}", "image", category, metric, float(i < hits), f"{category}/{kind}/{i}")
        for kind, metric, hits, total in (("unsafe", "SRA_u", refused, of), ("safe", "SRA_s", helped, among))
        for i in range(total)
    ]


NOTHING = pd.DataFrame()
REFUSED = {  # ten unsafe rows
    "txt": [1] * 9 + [0],
    "search": [1] * 5 + [0] * 5,
    "typography": [1] * 3 + [0] * 7,
    "concat": [1] * 4 + [0] * 5 + [None],
    "figstep": [0] * 10,
}


def test_each_mode_against_text_on_the_same_rows():
    moved = tables(pd.DataFrame(text("m", REFUSED)), NOTHING, "p@1")["transfer"].set_index("mode")
    assert list(moved.index) == [*MODES, "query-relevant"]
    assert moved["value"].tolist() == pytest.approx([0.9, 0.5, 0.3, 4 / 9, 0, 12 / 29])
    assert moved["n_scored"].tolist() == [10, 10, 10, 9, 10, 29]
    assert moved.loc["concat", "n"] == 10
    assert math.isnan(moved.loc["txt", "difference"])
    # Row 9 was answered under txt and is unscored under concat: over rows 0 to 8 text refuses all.
    assert moved["difference"].tolist()[1:] == pytest.approx([-0.4, -0.6, 4 / 9 - 1, -0.9, 12 / 29 - 27 / 29])
    # d = 0 in 6 rows, -1 in 4: mean -.4, SE = sqrt(10/9 sum((d + .4)^2)) / 10 = .1633, t(.975, 9) = 2.262
    assert moved.loc["search", "difference_low"] == pytest.approx(-0.4 - 2.2622 * 0.163299, abs=1e-4)
    assert moved.loc["search", "difference_high"] == pytest.approx(-0.4 + 2.2622 * 0.163299, abs=1e-4)
    assert moved.loc["search", "p"] == pytest.approx(0.036794, abs=1e-5)
    # Holm over the four modes, the pooled one left out: search has the largest p of them.
    assert moved.loc["search", "p_holm"] == pytest.approx(moved.loc["search", "p"])
    modes = ["search", "typography", "concat", "figstep"]
    assert moved.loc[modes, "p_holm"].tolist() == pytest.approx(holm(moved.loc[modes, "p"]).tolist())
    # d = -1 in 9 rows, 0 in one, which alone deviates: t = 9, 1 + .9^2 / (9 · .1^4 + .9^4) = 2.23 degrees of freedom
    assert moved.loc["figstep", "p"] == pytest.approx(2 * stats.t.sf(9, 1 + 0.81 / 0.657), rel=1e-6)
    assert moved.loc[["txt", "query-relevant"], "p_holm"].isna().all()


def test_models_keep_their_order_and_share_one_correction():
    answers = [*text("z", REFUSED), *text("a", REFUSED), *text("z", {"txt": [1, 1]}, "SRA_s", first=10)]
    moved = tables(pd.DataFrame(answers), NOTHING, "p@1")["transfer"]
    assert moved[["model", "metric"]].drop_duplicates().to_numpy().tolist() == [
        ["z", "SRA_s"],
        ["z", "SRA_u"],
        ["a", "SRA_u"],
    ]
    modes = moved[(moved["metric"] == "SRA_u") & ~moved["mode"].isin(["txt", "query-relevant"])]
    assert len(modes) == 8 and modes["p_holm"].tolist() == pytest.approx(holm(modes["p"]).tolist())


def test_regions_over_all_and_by_category():
    answers = [
        *image("m", "drugs", 3, 10, 10, 10),
        *image("m", "violence", 10, 10, 5, 10),
        *image("n", "drugs", 1, 2, 1, 2),
    ]
    lost = pd.DataFrame([{"configuration": "n", "benchmark": "vscbench", "category": "all", "metric": "unscored: empty",
                          "n": 4, "n_scored": 4, "value": 0.25, "low": math.nan, "high": math.nan}])  # fmt: skip
    found = tables(pd.DataFrame(answers), lost, "vscbench/image@2")
    assert set(found) == {"audit", "calibration", "categories", "spread"}  # nothing was asked in text
    points = found["categories"].set_index(["model", "category"])
    assert points["calibration"].to_dict() == {
        ("m", "drugs"): "undersafe", ("m", "violence"): "oversafe", ("n", "drugs"): "", ("n", "violence"): "",
    }  # fmt: skip
    assert points.loc[("m", "drugs"), ["SRA_s", "SRA_u"]].tolist() == [1.0, 0.3]
    assert points.loc[("n", "violence")].drop("calibration").isna().all()
    whole = found["calibration"].set_index("model")
    assert whole.loc["m", ["SRA_s", "SRA_u"]].tolist() == [0.75, 0.65] and list(whole["calibration"]) == ["", ""]
    assert whole.loc["m", "SRA_u_low"] < 0.65 < whole.loc["m", "SRA_u_high"]
    apart = found["spread"].set_index(["model", "metric"])
    assert apart.loc[("m", "SRA_u"), "spread"] == pytest.approx(0.7)
    assert apart.loc[("m", "SRA_s"), ["lowest", "highest"]].tolist() == ["violence", "drugs"]
    assert math.isnan(apart.loc[("n", "SRA_u"), "spread"])
    scores = found["audit"].set_index(["model", "category", "metric"])
    assert scores.loc[("n", "all", "unscored: empty"), "value"] == 0.25
    assert scores.loc[("m", "all", "SRA_a"), "value"] == pytest.approx(0.7)
    assert set(scores["protocol"]) == {"vscbench/image@2"}
