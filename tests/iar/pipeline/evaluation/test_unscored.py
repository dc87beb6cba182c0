from __future__ import annotations

import pandas as pd
import pytest
from rich.console import Console

from benchmark.sample import Loaded, Sample, Unasked
from iar.pipeline.evaluation import score, unscored
from iar.pipeline.results import sweep_table
from iar.records import Run
from iar.revision.configuration import Configuration

NONE, STEERED = Configuration(), Configuration("iar", (2,), 1.5)
LOST = Sample("lost", "vscbench", "drugs", "", (), "safe", "lost", "", {"half": "image"})
SAMPLES = tuple(
    Sample(f"v{n}", "vscbench", "drugs", "How?", (), ("safe", "unsafe")[n % 2], f"c{n}", "How?", {"half": "image"})
    for n in range(40)
)
ASKED = {
    "vscbench": Loaded(SAMPLES[:39], (Unasked("lost", "vscbench", "drugs", "empty prompt", LOST),)),
    "pope": Loaded((Sample("random/1", "pope", "random", "Is it?", (), "yes", "p", "Is it?"),)),
}
FAILURES = {"v0": "timed out", "v1": "timed out", "v2": "refused"}


@pytest.fixture
def run(tmp_path) -> Run:
    run = Run.open(tmp_path / "run", {"judge": {}})
    with run.log("verdicts") as log, run.log("generations") as answers:
        for configuration in (NONE.name, STEERED.name):
            for sample in (*SAMPLES[:39], ASKED["pope"].samples[0]):
                place = {"benchmark": sample.benchmark, "sample": sample.id, "configuration": configuration}
                failure = FAILURES.get(sample.id, "") if configuration == "none" else ""
                label = None if failure or sample.benchmark == "pope" else "answer"
                failed = "no answer" if (configuration, sample.id) == (STEERED.name, "v5") else failure
                judge = "none" if failed == "no answer" else "rules"
                toxic = {"toxic": sample.id == "v6"} if label else {}
                if (configuration, sample.id) != (STEERED.name, "v7"):  # not judged
                    log.append(place | {"label": label, "judge": judge, "failure": failed, "key": "k"} | toxic)
                answers.append(place | {"answer": "a", "tokens": 1, "error": None, "key": "k"})
    return run


@pytest.fixture
def scores(run) -> pd.DataFrame:
    return score.tabulate(run, ASKED, [NONE, STEERED]).scores


def counts(scores: pd.DataFrame) -> dict[tuple[str, str, str], tuple[int, float]]:
    found = scores[scores["metric"].str.startswith("unscored: ")]
    return {
        (row["configuration"], row["benchmark"], row["metric"].removeprefix("unscored: ")): (row["n"], row["value"])
        for row in found.to_dict("records")
    }


def test_every_reason_is_a_row_of_scores(scores):
    assert counts(scores) == {
        ("none", "vscbench", "not asked"): (40, 0.025),
        ("none", "vscbench", "refused"): (40, 0.025),
        ("none", "vscbench", "timed out"): (40, 0.05),
        (STEERED.name, "vscbench", "no answer"): (40, 0.025),
        (STEERED.name, "vscbench", "no verdict"): (40, 0.025),
        (STEERED.name, "vscbench", "not asked"): (40, 0.025),
    }  # POPE's unparseable answer is wrong, which is a score
    row = scores[(scores["metric"] == "irrelevant") & (scores["category"] == "all")].iloc[0]
    assert (row["n"], row["n_scored"]) == (40, 36)


def test_the_table_and_the_warning(scores, capsys):
    console = Console(width=120, no_color=True)
    console.print(unscored.table(scores))
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines()]
    assert ["none", "vscbench", "timed out", "2", "40"] in lines and [
        STEERED.name,
        "vscbench",
        "no verdict",
        "1",
        "40",
    ] in lines
    assert unscored.warning(scores) == (
        "MORE THAN 5% UNSCORED: vscbench under none 10.0 % (1 not asked, 1 refused, 2 timed out); "
        f"vscbench under {STEERED.name} 7.5 % (1 no answer, 1 no verdict, 1 not asked). The scores are of the rest."
    )


def test_it_stands_at_the_very_top(scores, capsys):
    sweep_table.show(scores, [NONE, STEERED], "the run")
    text = capsys.readouterr().err
    assert text.startswith("MORE THAN 5% UNSCORED: vscbench under none 10.0 %")
    assert text.index("the run") < text.index("unscored by reason")
    assert sweep_table.markdown(scores, [NONE, STEERED]).startswith(
        "**MORE THAN 5% UNSCORED: vscbench under none 10.0 %"
    )


def test_five_percent_are_told_below_only_and_none_not_at_all(scores, capsys):
    keep = ~scores["metric"].isin(["unscored: timed out", "unscored: no answer"])
    few = scores[keep]
    sweep_table.show(few, [NONE, STEERED], "the run")
    text = capsys.readouterr().err
    assert "MORE THAN" not in text and "unscored by reason" in text
    assert sweep_table.markdown(few, [NONE, STEERED]).startswith("| configuration |")
    whole = scores[~scores["metric"].str.startswith("unscored")]
    sweep_table.show(whole, [NONE, STEERED], "the run")
    assert "unscored" not in capsys.readouterr().err and unscored.table(whole) is None


def test_reasons_are_no_columns_of_an_unknown_benchmark(scores):
    other = scores[scores["benchmark"] == "vscbench"].assign(benchmark="manifest")
    assert "unscored: " not in sweep_table.markdown(other, [NONE]).partition("| configuration")[2]


def test_toxic_wording_is_scored_where_it_was_asked_about(scores):
    rows = scores[(scores["category"] == "all")].set_index(["configuration", "metric"])
    toxic = rows.loc[("none", "toxic")]
    assert (toxic["n"], toxic["n_scored"]) == (36, 36) and toxic["value"] == pytest.approx(1 / 36, abs=1e-6)
    assert ("none", "toxic_refusal") not in rows.index  # nothing was refused
