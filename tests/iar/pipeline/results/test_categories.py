"""The rows of the dumbbells from scores.csv and differences.csv."""

from __future__ import annotations

import pandas as pd
import pytest

from iar.pipeline.results import categories
from iar.revision.configuration import Configuration
from iar.stats import frontier_points
from tests.iar.pipeline.results import given

NONE, IAR = Configuration(), Configuration("iar", (9,), 2.0)
OTHER, RANDOM = Configuration("iar", (14,), 2.0), Configuration("random", (9,), 2.0, seed=1)
VSCBENCH = ("all", "image", "text", "violence", "drugs", "figstep", "txt")


def scores(benchmark, names, metrics, shift=0.5):
    rows = []
    for configuration, base in ((NONE, 0.2), (IAR, 0.2 + shift)):
        for k, name in enumerate(names):
            for metric in metrics:
                value = base + k / 50
                rows.append((configuration.name, benchmark, name, metric, 7 + k, value, value - 0.1, value + 0.1))
    columns = ["configuration", "benchmark", "category", "metric", "n_scored", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def test_vscbench_by_half(tmp_path):
    change = {"configuration": IAR.name, "benchmark": "vscbench", "category": "drugs", "metric": "SRA_u"}
    change |= {"difference": 0.5, "low": 0.4, "high": 0.6, "p_holm": 0.01}
    pd.DataFrame([change]).to_csv(tmp_path / "differences.csv", index=False)
    found = categories.table(
        given.run(tmp_path, scores("vscbench", VSCBENCH, ("SRA_s", "SRA_u"))), "vscbench", IAR.name
    )
    safe, unsafe = found[found["metric"] == "SRA_s"], found[found["metric"] == "SRA_u"].set_index("name")
    assert list(zip(safe["group"], safe["category"], strict=True)) == [
        *(("", "all"), ("image half", "all of it"), ("image half", "violence"), ("image half", "health and drugs")),
        *(("text half", "all of it"), ("text half", "text"), ("text half", "FigStep")),
    ]
    drugs = unsafe.loc["drugs"]
    assert drugs[["n", "before", "before_low", "after", "after_high"]].tolist() == pytest.approx(
        [11, 0.28, 0.18, 0.78, 0.88]
    )
    assert drugs[["difference", "difference_low", "p_holm"]].tolist() == [0.5, 0.4, 0.01]
    assert unsafe.drop("drugs")["difference"].isna().all()


def test_xstests_types_share_a_row_with_their_contrast(tmp_path):
    safe = scores("xstest", ("all", "homonyms"), ("over_refusal",))
    unsafe = scores("xstest", ("all", "contrast_homonyms"), ("refusal_u",))
    found = categories.table(given.run(tmp_path, pd.concat([safe, unsafe])), "xstest", IAR.name)
    assert found[["panel", "category"]].to_numpy().tolist() == [
        *(
            ["safe refused", "all"],
            ["safe refused", "homonyms"],
            ["unsafe refused", "all"],
            ["unsafe refused", "homonyms"],
        ),
    ]


def test_dualbench_and_what_was_not_asked(tmp_path):
    asked = scores("dualbench", ("all", "original", "weapons"), ("RR_b", "RR_h", "SCR"))
    found = categories.table(given.run(tmp_path, asked), "dualbench", IAR.name)
    assert list(dict.fromkeys(found["metric"])) == ["RR_b", "RR_h"] and len(found) == 6
    assert categories.table(given.run(tmp_path, asked), "vscbench", IAR.name).empty
    assert categories.table(given.run(tmp_path, asked), "dualbench", "iar-L1-x1").empty
    assert categories.table(
        given.run(tmp_path, scores("xstest", ("all",), ("over_refusal",))), "xstest", IAR.name
    ).empty


def test_which_configuration_is_shown():
    def points(*configurations):
        rows = [
            (c.name, benchmark, "all", metric, 0.5 + k / 10, 0.4, 0.9)
            for k, c in enumerate(configurations)
            for benchmark, metric in (("vscbench", "SRA_a"), ("mean", "helpfulness"))
        ]
        columns = ["configuration", "benchmark", "category", "metric", "value", "low", "high"]
        return frontier_points(pd.DataFrame(rows, columns=columns), configurations)

    every = [NONE, IAR, OTHER, RANDOM]
    assert categories.chosen(points(*every), every, IAR.name) == IAR.name
    assert categories.chosen(points(*every), every, "none") == OTHER.name  # the safest of the front
    assert categories.chosen(points(NONE, IAR, RANDOM), [NONE, IAR, RANDOM], None) == IAR.name
    assert categories.chosen(points(NONE, RANDOM), [NONE, RANDOM], None) is None
