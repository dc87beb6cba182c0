"""Fluency of a run's answers: what is recorded, what it does to the scores, and that nothing is computed twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.generation import Engine
from iar.judges import incoherent
from iar.models import LoadedModel
from iar.pipeline.evaluation import engines, fluency, score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.experiment import data, settings
from iar.pipeline.experiment.plan import plan
from iar.pipeline.results import method_table, sweep_table
from iar.prompting.composer import Composer
from iar.records import Run
from iar.revision.configuration import Configuration
from iar.vectors import file
from tests.test_formats import flat

NONE, STEERED = Configuration(), Configuration("iar", (2,), 6.0)
BENCHMARKS = ["vscbench", "pope"]


@pytest.fixture(scope="module")
def patched() -> Any:
    """Few answers are drawn, and of these nine in ten may be called unusual: a random model finds all alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fluency, "DRAWN", 12)
        patch.setattr(incoherent, "RARE", 0.9)
        patch.setattr(incoherent.limits, "__defaults__", (0.9,))
        yield patch


@pytest.fixture(scope="module")
def cfg(pocket_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """What a random model writes is labelled by hand: a refusal, and answers."""
    common = [f"data.root={pocket_data}", "benchmark=[vscbench,pope]", "model.max_new_tokens=6", "limit=6"]
    asked = data.load(settings.read(settings.Scoring, settings.compose("evaluate", common)), BENCHMARKS)
    labels = tmp_path_factory.mktemp("labels") / "labels.csv"
    rows = [
        f"vscbench,{sample.id},{c.name},{'answer' if number else 'refusal'}"
        for number, sample in enumerate(asked["vscbench"].samples)
        for c in (NONE, STEERED)
    ]
    labels.write_text("\n".join(["benchmark,sample,configuration,label", *rows]) + "\n")
    common += ["judge=labels", f"judge.files=[{labels}]"]
    return lambda *more: settings.read(settings.Scoring, settings.compose("evaluate", [*common, *more]))


@pytest.fixture(scope="module")
def engine(tiny: LoadedModel, tiny_vectors: Path) -> Engine:
    vectors = file.read(tiny_vectors / "multi_response-mms-mean.safetensors")
    return Engine(tiny, {STEERED.source: vectors}, compose=Composer())


def scored(folder: Path, engine: Engine, asked_for: Any) -> FinishedRun:
    asked = data.load(asked_for, BENCHMARKS)
    run = Run.open(folder, score.definition(asked_for, BENCHMARKS, engine))
    return score.score(run, engine, asked_for, asked, [NONE, STEERED])


@pytest.fixture(scope="module")
def done(
    patched: Any, cfg: Callable[..., Any], engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> FinishedRun:
    return scored(tmp_path_factory.mktemp("run"), engine, cfg("fluency=true"))


def lines(run: FinishedRun, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / f"{name}.jsonl").read_text().splitlines()]


def test_every_answer_that_a_judge_reads_has_one(done: FinishedRun, engine: Engine) -> None:
    found = lines(done, "fluency")
    assert all(set(record) == set(flat("fluency.jsonl")) for record in found)
    answers = [r for r in lines(done, "generations") if r["benchmark"] == "vscbench"]
    assert [(r["sample"], r["configuration"], r["key"]) for r in found] == [
        (r["sample"], r["configuration"], r["key"]) for r in answers
    ]
    samples = {sample.id: sample for sample in done.asked["vscbench"].samples}
    named = {"none": NONE, STEERED.name: STEERED}
    for record, answer in zip(found, answers, strict=True):
        said = (samples[answer["sample"]], named[answer["configuration"]], answer["answer"])
        ((_, nll),) = engine.likelihoods([said])
        assert record["tokens"] == len(nll)
        assert record["nll"] == (pytest.approx(sum(nll) / len(nll), abs=2e-4) if nll else None)


def test_the_unsteered_models_own_answers_are_drawn(done: FinishedRun) -> None:
    found = lines(done, "drawn")
    assert all(set(record) == set(flat("drawn.jsonl")) for record in found)
    samples = [sample.id for sample in done.asked["vscbench"].samples]
    assert [(r["sample"], r["seed"]) for r in found] == [(s, seed) for seed in (1, 2) for s in samples]  # 12 of 6
    assert {r["benchmark"] for r in found} == {"vscbench"}
    first, second = found[:6], found[6:]
    assert [r["answer"] for r in first] != [r["answer"] for r in second]
    greedy = {r["sample"]: r["nll"] for r in lines(done, "fluency") if r["configuration"] == "none"}
    assert sum(sum(r["nll"]) / len(r["nll"]) for r in found if r["nll"]) / 12 > sum(filter(None, greedy.values())) / 6


def test_what_lies_beyond_counts_as_irrelevant(done: FinishedRun) -> None:
    """By hand: of 12 means of as many tokens the limit is the second, of 9 or fewer the first."""
    drawn = [r["nll"] for r in lines(done, "drawn")]
    nlls = {(r["sample"], r["configuration"]): (r["nll"], r["tokens"]) for r in lines(done, "fluency")}
    judged = [r for r in lines(done, "verdicts") if r["benchmark"] == "vscbench"]
    expected = []
    for record in judged:
        nll, tokens = nlls[record["sample"], record["configuration"]]
        means = sorted(sum(one[:tokens]) / tokens for one in drawn if len(one) >= tokens)
        rank = -(-(len(means) + 1) // 10)
        if record["label"] == "answer" and rank <= len(means) and nll > means[rank - 1]:
            expected.append(("vscbench", record["sample"], record["configuration"]))
    assert expected and any(name == STEERED.name for *_, name in expected)
    own = {(r["benchmark"], r["sample"], r["configuration"]): r["label"] for r in lines(done, "verdicts")}
    changed = {place: v for place, v in done.verdicts.items() if v["label"] != own[place]}
    assert sorted(changed) == sorted(expected)
    assert {v["label"] for v in changed.values()} == {"irrelevant"}
    assert all(v["reason"].startswith("incoherent: ") for v in changed.values())
    assert FinishedRun.at(done.path).verdicts == done.verdicts


def value(run: FinishedRun, name: str, metric: str, benchmark: str = "vscbench") -> float:
    rows = run.scores
    row = rows[(rows["configuration"] == name) & (rows["benchmark"] == benchmark) & (rows["category"] == "all")]
    found: float = row.set_index("metric")["value"][metric]
    return found


def test_scores(done: FinishedRun, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("none", STEERED.name):
        nlls = [r["nll"] for r in lines(done, "fluency") if r["configuration"] == name and r["nll"] is not None]
        assert value(done, name, "nll") == pytest.approx(sum(nlls) / len(nlls), abs=1e-6)
        changed = [v for (_, _, c), v in done.verdicts.items() if c == name and v.get("incoherent")]
        assert value(done, name, "incoherent") == pytest.approx(len(changed) / len(nlls), abs=1e-6)
        labels = [v["label"] for (b, _, c), v in done.verdicts.items() if (b, c) == ("vscbench", name)]
        assert value(done, name, "irrelevant") == pytest.approx(labels.count("irrelevant") / len(labels), abs=1e-6)
    assert value(done, STEERED.name, "nll") > value(done, "none", "nll")
    assert set(done.scores[done.scores["metric"].isin(["nll", "incoherent"])]["benchmark"]) == {"vscbench"}
    sweep_table.show(done.scores, [NONE, STEERED], "t")
    assert "NLL" in capsys.readouterr().err
    assert f"{value(done, STEERED.name, 'nll'):.2f}" in sweep_table.markdown(done.scores, [NONE, STEERED])
    assert f"{value(done, STEERED.name, 'nll'):.2f}" in method_table.markdown(done)


def test_resuming_computes_nothing_again(
    done: FinishedRun, cfg: Callable[..., Any], engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the middle, a run goes on where it was; whole, it asks the model for nothing."""
    for path in done.path.glob("*.json*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = (tmp_path / "fluency.jsonl").read_text().splitlines()
    (tmp_path / "fluency.jsonl").write_text("\n".join(whole[:5]) + "\n" + whole[5][:20])
    asked: list[int] = []
    tell = Engine.likelihoods

    def counted(self: Engine, said: Any) -> Any:
        asked.append(len(said))
        return tell(self, said)

    monkeypatch.setattr(Engine, "likelihoods", counted)
    for left in (len(whole) - 5, 0):
        asked.clear()
        scored(tmp_path, engine, cfg("fluency=true"))
        assert sum(asked) == left
        for name in ("fluency.jsonl", "drawn.jsonl", "scores.csv"):
            assert (tmp_path / name).read_bytes() == (done.path / name).read_bytes()


def test_nothing_is_measured_unless_asked(
    done: FinishedRun, cfg: Callable[..., Any], engine: Engine, tmp_path: Path
) -> None:
    off = scored(tmp_path, engine, cfg())
    assert "fluency" not in off.definition and "fluency" in done.definition
    assert {path.name for path in done.path.iterdir()} - {path.name for path in tmp_path.iterdir()} == {
        "fluency.jsonl", "drawn.jsonl"
    }  # fmt: skip
    for name in ("generations.jsonl", "verdicts.jsonl"):
        assert (tmp_path / name).read_bytes() == (done.path / name).read_bytes()
    assert not off.scores["metric"].isin(["nll", "incoherent"]).any()


def test_a_model_that_tells_no_likelihoods_is_refused() -> None:
    asked = settings.read(
        settings.Scoring, settings.compose("evaluate", ["model=endpoint", "method=none", "fluency=true"])
    )
    with pytest.raises(UserError, match="runs at an endpoint, which tells no likelihoods: leave fluency out"):
        engines.answering(plan([asked]))


@pytest.mark.parametrize(
    "name, record", [("fluency", {"nll": "1", "tokens": 2}), ("fluency", {"nll": 1.0}), ("drawn", {"nll": [None]})]
)
def test_a_damaged_log_is_one_line(tmp_path: Path, name: str, record: dict[str, Any]) -> None:
    run = Run.open(tmp_path, {"fluency": {}})
    with run.log(name) as log:
        log.append(record)
    with pytest.raises(UserError, match=rf"{name}.jsonl is damaged"):
        fluency.counted(run, {})
