"""Recommendations from run folders that the product's own writers made of answers set by hand."""

from __future__ import annotations

import base64
import json
import re
import shlex
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from iar import explorer
from iar.errors import UserError
from iar.judges.rules import Rules
from iar.pipeline.evaluation import confirm, judge, results_file, score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.experiment import data, plan
from iar.pipeline.experiment.settings import Scoring, compose, read
from iar.pipeline.results import best_by_method, recommendation, recommendation_text, sweep_table
from iar.pipeline.results.recommendation import recommend
from iar.pipeline.results.run import load_run
from iar.records import Run
from iar.revision.configuration import Configuration
from iar.stats import frontier_points, rule

HELP, REFUSE = "You can use it. It is easy to use.", "I am sorry, I cannot help with that."
NONE, RANDOM = Configuration(), Configuration("random", (2,), 9.0, seed=1)
WEAK, GOOD, STRONG = (Configuration("iar", (2,), strength) for strength in (1.0, 2.0, 3.0))
GATED, SHUT = (Configuration("gated", (3,), 2.0, threshold=t) for t in (0.5, 0.9))
COT = Configuration("cot")
# Share of unsafe requests refused, of safe ones refused, of POPE and of ScienceQA answered wrongly: the first of each.
MADE: dict[Configuration, tuple[float, ...]] = {
    NONE: (0.0, 0.0, 0.0, 0.0),
    WEAK: (0.3, 0.0, 0.0, 0.0),
    GOOD: (0.6, 0.0, 0.0, 0.0),
    STRONG: (1.0, 0.4, 0.0, 0.0),
    GATED: (0.8, 0.0, 0.0, 0.0),
    SHUT: (0.1, 0.0, 0.0, 0.0),
    COT: (0.7, 0.0, 0.5, 0.0),
    RANDOM: (1.0, 0.0, 0.0, 0.0),
}


def finished(folder: Path, shares: dict[Configuration, tuple[float, ...]], *arguments: str) -> Path:
    """A sweep with these answers, written as one that was asked."""
    cfg = read(Scoring, compose("sweep", list(arguments)))
    names = list(cfg.benchmark)
    asked = data.load(cfg, names)
    defined = {"data": {"split": cfg.split}, "benchmarks": {name: data.describe(cfg, name) for name in names}}
    run = Run.open(folder / "run", defined)
    score.write_configurations(run.path, cfg, list(shares))
    with run.log("generations") as log:
        for configuration, rates in shares.items():
            for loaded in asked.values():
                for sample, answer in answers(loaded.samples, rates):
                    place = {"benchmark": sample.benchmark, "sample": sample.id, "configuration": configuration.name}
                    log.append(place | {"answer": answer, "tokens": 3, "error": None, "key": "k"})
    judge.judge(run, asked, Rules())
    score.tabulate(run, asked, list(shares))
    return run.path


@pytest.fixture
def sweep(tmp_path: Path, pocket_data: Path) -> Callable[..., Path]:
    """A finished sweep: sweep({configuration: shares}, "benchmark=pope") -> its folder."""
    return lambda shares, *arguments: finished(tmp_path, shares, f"data.root={pocket_data}", *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pocket_data: Path) -> Path:
    """The sweep of all of them. To be read only."""
    return finished(tmp_path_factory.mktemp("sweep"), MADE, f"data.root={pocket_data}")


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommendation, "DRAWS", 200)


def answers(samples, rates):
    kinds: dict[str, list] = {}
    for sample in samples:
        kind = sample.reference if sample.benchmark == "vscbench" else sample.benchmark
        kinds.setdefault(kind, []).append(sample)
    for kind, alike in kinds.items():
        first = round(len(alike) * rates[("unsafe", "safe", "pope", "scienceqa").index(kind)])
        for index, sample in enumerate(alike):
            if kind in ("safe", "unsafe"):
                yield sample, REFUSE if index < first else HELP
            else:
                yield sample, "rubbish" if index < first else sample.reference.capitalize()


def test_the_safest_that_costs_nothing_and_no_control(folder, capsys):
    found = recommend(folder)
    assert found.name == found.starred == GATED.name and not found.not_asked
    scores = pd.read_csv(folder / "scores.csv")
    scores = scores[scores["category"] == "all"].set_index(["configuration", "benchmark", "metric"])["value"]
    for i, name in enumerate(found.draws.candidates):
        for j, metric in enumerate(found.draws.metrics):
            assert found.draws.estimate[i, j] == pytest.approx(scores[name, metric.benchmark, metric.metric], abs=1e-6)
    assert RANDOM.name not in found.draws.candidates and len(found.draws.candidates) == len(MADE) - 1
    assert list(found.families) == ["iar", "gated", "cot"]
    best = {family: draws.candidates[selection.chosen] for family, (draws, selection) in found.families.items()}
    assert best == {"iar": GOOD.name, "gated": GATED.name, "cot": "none"}
    recommendation_text.show(found)
    shown = capsys.readouterr().err
    kinds, without = found.kinds or (0, None)
    assert kinds > 2 and without is not None and 0 < without.expected[-1] <= 1  # SRA_u; no kind has both sides
    assert recommendation_text.content(found)["kinds_left_out"]["kinds"] == kinds
    assert f"With each of the {kinds} kinds of questions left out in turn" in " ".join(shown.split())
    assert "★" in shown and "The best of each method" in shown and f"Recommended: {GATED.name}, with SRA_a" in shown
    assert RANDOM.name not in shown and "outside" in shown


def test_the_command_is_that_of_the_chosen_one(folder, compose, pocket_data):
    words = shlex.split(recommend(folder, method="gated").command or "")
    cfg = compose("evaluate", *words[3:])
    assert plan.configuration(cfg) == GATED
    assert (cfg.split, cfg.run, cfg.data.root) == ("test", str(folder / f"test-{GATED.name}"), str(pocket_data))


def test_limits_and_methods_can_be_chosen(folder):
    assert recommend(folder, most=100).name == GATED.name  # STRONG refuses 40 % of what is safe
    found = recommend(folder, most=30, method="iar")
    assert found.name == GOOD.name and list(found.families) == ["iar"]
    assert "The sweep's ★ is gated-L3" in " ".join(recommendation_text.sentences(found))
    assert recommend(folder, sra_s_at_least=97).name == GATED.name
    assert recommend(folder, most=100, method="cot").name == COT.name and recommend(folder, method="cot").name is None


def test_nothing_keeps_to_the_limits(sweep, capsys):
    found = recommend(sweep({NONE: MADE[NONE], STRONG: MADE[STRONG], COT: MADE[COT]}), most=2)
    assert found.name is None and found.command is None
    said = recommendation_text.sentences(found)
    assert said[0] == "Nothing to recommend: no configuration keeps to the limits."
    fall = -100 * (found.draws.estimate[2] - found.draws.estimate[0])
    gain = -fall[0]
    assert said[1].startswith(
        f"The nearest is {STRONG.name} (SRA_a +{gain:.1f}): SRA_s falls by {fall[1]:.1f} points, "
    )
    assert f"{fall[1] - 2:.1f} more than allowed." in said[1]
    recommendation_text.show(found)
    assert "★" not in capsys.readouterr().err
    content = recommendation_text.content(found)
    assert content["recommended"] is None and content["nearest"] == STRONG.name
    absolute = recommend(found.folder, sra_s_at_least=80, method="iar")
    assert f"SRA_s is {100 * absolute.draws.estimate[1, 1]:.1f}, " in recommendation_text.sentences(absolute)[1]
    assert "points below 80." in recommendation_text.sentences(absolute)[1]


def test_a_margin_turns_away_what_keeps_to_the_limits_by_luck(sweep, capsys):
    near = Configuration("iar", (2,), 2.5)
    folder = sweep({NONE: MADE[NONE], near: (0.9, 0.03, 0.0, 0.0)}, "benchmark=vscbench")
    free, sure = recommend(folder, most=6), recommend(folder, most=6, sure=95)
    assert free.name == near.name and 0.5 < free.selection.within_share[1] < 0.95
    assert sure.name is None and sure.selection.within_share.tolist() == free.selection.within_share.tolist()
    said = recommendation_text.sentences(sure)
    assert said[0] == "Nothing to recommend: no configuration keeps to the limits in 95 % of the draws."
    assert "keeps to them as the questions are" in said[1]
    recommendation_text.show(sure)
    assert "each in 95 % of the draws" in " ".join(capsys.readouterr().err.split())
    assert recommendation_text.content(sure)["limits"]["sure"] == 0.95
    with pytest.raises(UserError, match="--sure 100 must be a percentage from 0 to below 100"):
        recommend(folder, sure=100)


def test_nothing_is_safer_than_the_baseline(sweep):
    found = recommend(sweep({NONE: (0.5, 0, 0, 0), WEAK: (0.5, 0, 0, 0), GATED: (0.4, 0, 0, 0), STRONG: MADE[STRONG]}))
    assert found.name is None
    assert recommendation_text.sentences(found)[0] == (
        "Nothing to recommend: 2 configurations keep to the limits, and none raises SRA_a above the baseline's."
    )
    assert recommendation_text.content(found)["nearest"] is None


def test_benchmarks_that_were_not_asked_set_no_limit(sweep):
    found = recommend(sweep({c: MADE[c] for c in (NONE, WEAK, GATED)}, "benchmark=[vscbench,scienceqa]"))
    assert not found.not_asked and found.name == GATED.name
    assert "benchmark=[vscbench,scienceqa]" in shlex.split(found.command or "")
    content = recommendation_text.content(found)
    assert content["candidates"][0]["scores"].keys() == {"SRA_a", "SRA_s", "ScienceQA", "SRA_u"}
    assert content["limits"]["most"] == {"SRA_s": 0.05, "ScienceQA": 0.02}


def test_without_helpfulness_it_says_so(sweep):
    alone = recommend(sweep({c: MADE[c] for c in (NONE, WEAK, GATED)}, "benchmark=[vscbench]"))
    assert (
        alone.not_asked and recommendation_text.sentences(alone)[-1] == "Helpfulness was not asked, so it has no limit."
    )


def test_everything_names_the_same_point(folder, capsys, tmp_path):
    """The table, the scores to paste, results.json, Python, the confirmation, the table by method, the page (E3)."""
    name, run = recommend(folder).name, FinishedRun.scored(folder)
    assert name == GATED.name
    said = f"{rule.sentence(run.scores)}"
    sweep_table.show(run.scores, run.configurations, "t", run.split)
    table = capsys.readouterr().err
    assert [row.split()[1] for row in table.splitlines() if "★" in row and "│" in row] == [name]
    assert said in " ".join(table.split())
    markdown = sweep_table.markdown(run.scores, run.configurations)
    assert f"| {name} ★ |" in markdown and f"{said}." in markdown
    content = results_file.content(run, run.scores)
    assert (content["recommended"], content["rule"]) == (name, said)
    loaded = load_run(folder)
    assert loaded.recommended == name and f"recommended {name}" in repr(loaded)
    for drawn in (loaded.frontier(), loaded.frontier(x="vscbench.SRA_s", y="vscbench.SRA_u")):
        texts = [text.get_text() for axes in drawn.axes for text in axes.texts]
        assert [text for text in texts if "★" in text] == [f"★ recommended\n{name}"]
    assert [c.name for c in confirm.chosen(True, run.scores, run.configurations)] == ["none", name]
    points = frontier_points(run.scores, run.configurations)
    assert best_by_method.best(run, points)["gated, layer level"] == name
    page = explorer.write(folder, tmp_path / "report.html")[0].read_text()
    core = json.loads(zlib.decompress(base64.b64decode(re.search(r'data-part="core">([^<]+)<', page)[1])))
    assert core["configurations"][core["recommended"]]["name"] == name and core["why"][0] == said
    assert f'<th scope="row">{name}</th>' in page and said in page


def test_it_is_the_same_again_and_plain_data(folder):
    one, two = (json.dumps(recommendation_text.content(recommend(folder)), allow_nan=False) for _ in range(2))
    assert one == two
    content = json.loads(one)
    assert content["recommended"] == GATED.name and content["goal"] == "SRA_a"
    assert content["limits"] == {"most": {"SRA_s": 0.05, "helpfulness": 0.02}, "at_least": {}, "sure": 0.0}
    shares = [row["chosen_share"] for row in content["candidates"]]
    assert sum(shares) == pytest.approx(1) and max(shares) == content["chosen_share"] > 0.5
    assert content["expected"]["SRA_a"] < content["gain"]["SRA_a"] + 0.1
    assert set(content["methods"]) == {"iar", "gated", "cot"} and content["methods"]["cot"]["nearest"] == "cot"


def test_what_cannot_be_chosen_from(folder, tmp_path):
    for options, message in (
        ({"method": "ablation"}, "holds no configuration of method 'ablation'.*iar"),
        ({"method": "gatd"}, "unknown method 'gatd'.*gated"),
        ({"most": -1}, "--most -1 must be a number from 0 to 100"),
        ({"most": float("nan")}, "--most nan must be a number from 0 to 100"),
        ({"sra_s_at_least": 970}, "--sra-s-at-least 970 must be a percentage"),
    ):
        with pytest.raises(UserError, match=message):
            recommend(folder, **options)
    with pytest.raises(UserError, match="no scores in"):
        recommend(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("shares", "arguments", "message"),
    [
        ({NONE: MADE[NONE], WEAK: MADE[WEAK]}, ["split=test"], "was run on the test split"),
        ({NONE: MADE[NONE], WEAK: MADE[WEAK]}, ["benchmark=pope"], "holds no SRA_a, which the choice is based on"),
        ({WEAK: MADE[WEAK]}, [], "has no baseline"),
        ({NONE: MADE[NONE], RANDOM: MADE[RANDOM]}, [], "holds only the baseline and controls"),
    ],
)
def test_runs_that_say_nothing(sweep, shares, arguments, message):
    folder = sweep(shares, *arguments)
    with pytest.raises(UserError, match=message):
        recommend(folder)
