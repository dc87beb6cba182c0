"""Tables from a run folder that the product's own writers made of answers set by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.sample import Sample
from iar.errors import UserError
from iar.judges.rules import Rules
from iar.pipeline.evaluation import judge, score
from iar.pipeline.experiment import data
from iar.pipeline.experiment.settings import Scoring, compose, read
from iar.pipeline.results import stress
from iar.records import Run
from iar.revision.configuration import Configuration

HELP, REFUSE = "You can use it. It is easy to use.", "I am sorry, I cannot help with that."
NONE = Configuration()
SEEN, GATE = Configuration("gated", (3,), 2.0), Configuration("gate", (3,))
BLIND, BLIND_GATE = (Configuration(c.method, c.layers, c.strength, pairs="without-drugs") for c in (SEEN, GATE))


def refuses(configuration: Configuration, sample: Sample) -> bool:
    """None refuses nothing; the others what is unsafe, but drugs only where the gate has seen them."""
    if configuration == NONE or sample.reference == "safe":
        return False
    return configuration.pairs != "without-drugs" or stress.BY["harm"](sample) != "drugs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pocket_data: Path) -> Path:
    """To be read only."""
    cfg = read(Scoring, compose("sweep", [f"data.root={pocket_data}", "benchmark=[vscbench]"]))
    asked, configurations = data.load(cfg, ["vscbench"]), [NONE, SEEN, BLIND, GATE, BLIND_GATE]
    defined = {"data": {"split": cfg.split}, "benchmarks": {"vscbench": data.describe(cfg, "vscbench")}}
    run = Run.open(tmp_path_factory.mktemp("stress") / "run", defined)
    score.write_configurations(run.path, cfg, configurations)
    with run.log("generations") as log:
        for c in configurations:
            for sample in asked["vscbench"].samples:
                fires = refuses(c, sample)
                place = {"benchmark": "vscbench", "sample": sample.id, "configuration": c.name}
                tokens = 0 if fires and c.method == "gate" else 3
                log.append(place | {"answer": REFUSE if fires else HELP, "tokens": tokens, "error": None, "key": "k"})
    judge.judge(run, asked, Rules())
    score.tabulate(run, asked, configurations)
    return run.path


def test_harm_that_a_gate_has_not_seen(folder: Path) -> None:
    found = stress.read(folder, "harm").table.set_index(["group", "configuration"])
    assert {"drugs", "violence", "illegal_activity"} <= set(found.index.get_level_values(0))
    for harm in ("drugs", "violence", "illegal_activity"):
        left_out = harm == "drugs"
        seen, blind = found.loc[(harm, SEEN.name)], found.loc[(harm, BLIND.name)]
        assert (seen["unseen"], blind["unseen"]) == (False, left_out)
        assert (seen["SRA_u"], seen["base"], seen["SRA_s"]) == (1.0, 1.0, 1.0)
        assert (blind["SRA_u"], blind["base"], blind["seen"]) == ((0.0, 0.0, -1.0) if left_out else (1.0, 1.0, 0.0))
        assert blind["seen_low"] < blind["seen"] or left_out
        assert (blind["fires_safe"], blind["fires_unsafe"]) == (0.0, 0.0 if left_out else 1.0)
        assert (seen["fires_safe"], seen["fires_unsafe"]) == (0.0, 1.0)
    assert set(found.index.get_level_values(1)) == {NONE.name, SEEN.name, BLIND.name}  # gates alone are columns


def test_errors_are_shown_with_what_the_gate_did(folder: Path) -> None:
    found = stress.read(folder, "harm")
    errors = found.errors
    assert set(errors["configuration"]) == {NONE.name, BLIND.name}
    assert set(errors["kind"]) == {"answered"}
    own = errors[errors["configuration"] == BLIND.name]
    assert len(own) and set(own["group"]) == {"drugs"} and set(own["fired"]) == {False} and set(own["answer"]) == {HELP}
    text = stress.markdown(found, examples=1)
    assert "| drugs | gated-L3-x2-without-drugs * | 0 | 0 | 0 |" in text
    assert text.count("| no | You can use it.") == 1 and HELP not in stress.markdown(found)


@pytest.mark.parametrize("by", list(stress.BY))
def test_every_kind_of_group_holds_every_question(folder: Path, tmp_path: Path, by: str) -> None:
    found = stress.read(folder, by)
    groups = set(found.table["group"])
    assert {"all": groups == {"all"}, "mode": {"image", "txt", "figstep"} < groups}.get(by, len(groups) > 2)
    if by == "type":
        assert {"image_safe", "contrast_safe_targets"} < groups
    files = stress.write(tmp_path, by, "text", found)
    assert [file.name for file in files] == [f"stress-{by}.csv", f"stress-{by}-errors.csv", f"stress-{by}.md"]


def test_a_name_says_what_is_unseen() -> None:
    only = Configuration("gated", (3,), 2.0, pairs="only-txt")
    assert not stress.unseen(only, "txt") and stress.unseen(only, "figstep") and not stress.unseen(NONE, "txt")


def test_a_run_without_unsafe_requests(tmp_path: Path, pocket_data: Path, compose: Callable[..., Any]) -> None:
    cfg = compose("sweep", f"data.root={pocket_data}", "benchmark=[pope]")
    asked = data.load(cfg, ["pope"])
    defined = {"data": {"split": cfg.split}, "benchmarks": {"pope": data.describe(cfg, "pope")}}
    run = Run.open(tmp_path / "run", defined)
    score.write_configurations(run.path, cfg, [NONE])
    with run.log("generations") as log:
        for s in asked["pope"].samples:
            place = {"benchmark": "pope", "sample": s.id, "configuration": "none"}
            log.append(place | {"answer": "Yes", "tokens": 1, "error": None, "key": "k"})
    judge.judge(run, asked, Rules())
    score.tabulate(run, asked, [NONE])
    with pytest.raises(UserError, match="holds no SRA_u"):
        stress.read(run.path, "mode")
