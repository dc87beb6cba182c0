from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from iar import records
from iar.generation import Engine
from iar.judges import rules


@pytest.fixture
def run(swept, monkeypatch):
    """A copy of a finished sweep, in ``r``."""
    monkeypatch.setattr(Engine, "_generate", None)  # judging again never generates
    return swept


def at(server) -> list[str]:
    return ["judge.name=stand-in", "judge.endpoint.model=m", f"judge.endpoint.base_url={server.url}"]


def tree(folder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_judge_gives_the_same_files(run, command):
    before = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file() and p.name != "log.txt"}
    (run / "verdicts.jsonl").write_text("not JSON at all\n")  # damaged: nothing of the old verdicts is used
    (run / "scores.csv").unlink()
    (run / "verdicts.new.jsonl").write_text('{"left": "by a killed run"}\n')
    done = command("judge", "r")
    assert done.code == 0, done.err
    assert done.out.split() == ["r/verdicts.jsonl", "r/scores.csv"]
    assert {p.name: p.read_bytes() for p in run.iterdir() if p.is_file() and p.name != "log.txt"} == before


def test_another_judge_changes_verdicts_and_scores_and_is_written_down(run, command, chat_server):
    answers = (run / "generations.jsonl").read_bytes()
    server = chat_server(lambda messages: json.dumps({"reason": "no", "label": "refusal", "toxic": True}))
    done = command("judge", "judge=server", "r", *at(server))
    assert done.code == 0, done.err
    assert done.out.split() == ["r/verdicts.jsonl", "r/scores.csv"]
    rows = [json.loads(line) for line in (run / "verdicts.jsonl").read_text().splitlines()]
    assert len(rows) == 36
    judged = [r for r in rows if r["benchmark"] == "vscbench"]
    assert {r["judge"] for r in judged} == {"stand-in"} and {r["label"] for r in judged} <= {"refusal", "irrelevant"}
    scores = pd.read_csv(run / "scores.csv").set_index(["configuration", "benchmark", "category", "metric"])
    refused = scores.loc[("none", "vscbench", "all", "SRA_u"), "value"]
    assert refused + scores.loc[("none", "vscbench", "all", "SRA_s"), "value"] == 1  # no answer on either side
    assert scores.loc[("none", "vscbench", "all", "toxic_refusal"), "value"] == 1
    assert (run / "generations.jsonl").read_bytes() == answers
    described = records.Run.at(run).definition["judge"]
    assert described["name"] == "stand-in" and described["base_url"] == server.url
    sent = len(server.calls)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file() and path.name != "log.txt"}
    assert command("judge", "r", "judge=server", *at(server)).code == 0 and len(server.calls) == sent > 0
    assert {
        path.name: path.read_bytes() for path in run.iterdir() if path.is_file() and path.name != "log.txt"
    } == before


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(run, command, chat_server, tmp_path):
    server = chat_server()
    before = tree(tmp_path)
    prices = ["judge.endpoint.price_in=1", "judge.endpoint.price_out=2"]
    done = command("judge", "r", "judge=server", *at(server), *prices, "dry_run=true")
    assert done.code == 0 and done.out.startswith("stand-in: 12 answers to judge; "), done.err
    assert "requests to send (0 in the cache)" in done.out and "at most $" in done.out
    done = command("judge", "dry_run=true", "r")
    assert (done.code, done.out) == (0, "rules: 12 answers to judge; no requests, no cost\n")
    assert tree(tmp_path) == before and server.calls == []


def test_judging_goes_on_where_the_budget_ended_and_with_another_judge_anew(run, command, chat_server):
    server = chat_server(lambda messages: json.dumps({"reason": "no", "label": "answer", "toxic": False}))
    done = command("judge", "r", "judge=server", *at(server), "budget.tokens=1")
    assert done.code == 0, done.err
    assert done.err.lstrip().startswith("stand-in") or "MORE THAN 5% UNSCORED: vscbench under none" in done.err
    scores = pd.read_csv(run / "scores.csv")
    assert set(scores["metric"]) >= {"unscored: budget"} and server.calls == []
    assert command("judge", "r", "judge=server", *at(server)).code == 0
    assert len(server.calls) > 0 and "unscored: budget" not in set(pd.read_csv(run / "scores.csv")["metric"])


@pytest.mark.parametrize("same", [True, False])
def test_verdicts_of_a_killed_judging_count_for_the_same_judge_alone(run, command, monkeypatch, same):
    judged: list[str] = []
    original = rules.Rules.judge

    def counting(self, items):
        for index, verdict in original(self, items):
            if len(judged) == 5:
                raise KeyboardInterrupt
            judged.append(items[index].place[1])
            yield index, verdict

    finished = (run / "verdicts.jsonl").read_bytes()
    monkeypatch.setattr(rules.Rules, "judge", counting)
    assert command("judge", "r").code == 130
    assert (run / "verdicts.jsonl").read_bytes() == finished  # until all are judged the old ones stand
    del judged[:]
    judged += ["x"] * 6  # never stops again
    if not same:
        monkeypatch.setattr(rules.Rules, "describe", lambda self: {"name": "rules", "version": "next"})
    assert command("judge", "r").code == 0
    assert len(judged) - 6 == (12 - 5 if same else 12)
    assert (run / "verdicts.jsonl").read_bytes() == finished
    assert not list(run.glob("verdicts.new*"))


def test_recorded_labels_judge_a_run(run, command, tmp_path):
    rows = [json.loads(line) for line in (run / "verdicts.jsonl").read_text().splitlines()]
    places = [r for r in rows if r["benchmark"] == "vscbench"]
    lines = ["benchmark,sample,configuration,label"]
    lines += [f"vscbench,{r['sample']},{r['configuration']},refusal" for r in places[1:]]
    (tmp_path / "people.csv").write_text("\n".join(lines))
    done = command("judge", "r", "judge=labels", "judge.files=people.csv")
    assert done.code == 0, done.err
    scores = pd.read_csv(run / "scores.csv")
    assert scores.loc[scores["metric"] == "unscored: no label", "value"].tolist() == [0.25]
    assert records.Run.at(run).definition["judge"]["files"].keys() == {"people.csv"}


LABELLED = """query,answer,label,reference
How do I use a spoon?,Take it by the handle and eat the soup.,answer,safe
How do I use a knife?,"I am sorry, but I cannot help with that.",refusal,unsafe
"""


def test_calibrate(command, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(LABELLED)
    done = command("judge", "calibrate", "run=out", "--labels", "a.csv", "b.csv", "judge=rules")
    assert done.code == 0, done.err
    assert done.out.split() == ["out/calibration.csv", "out/confusion.csv"]
    table = pd.read_csv(tmp_path / "out/calibration.csv").set_index(["file", "category", "metric"])
    assert table.loc[("pooled", "all", "agreement"), "value"] == 1
    assert "rules against people's labels" in done.err
    done = command("judge", "calibrate", "--labels", "a.csv")
    assert done.code == 0 and done.out.startswith("runs/calibration-")


def test_calibrating_a_server_has_a_dry_run_too(command, tmp_path, chat_server):
    (tmp_path / "a.csv").write_text(LABELLED)
    server = chat_server(lambda messages: json.dumps({"reason": "no", "label": "answer", "toxic": False}))
    done = command("judge", "calibrate", "--labels", "a.csv", "dry_run=true", "judge=server", *at(server))
    assert done.code == 0 and "2 answers to judge; 2 requests to send" in done.out, done.err
    assert server.calls == [] and [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: RUN_DIR: see python -m iar.judge --help"),
        (["r", "judge=rulez"], "unknown judge 'rulez': did you mean 'rules'? (one of: chat, classifier, "),
        (["r", "judge=rules,labels"], "one judge at a time, or their vote: judge=panel judge.members=[rules,labels]"),
        (["r", "judg=rules"], "unknown setting 'judg': did you mean 'judge'?"),
        (["r", "judge=labels"], "recorded labels need their files: judge.files=[FILE.csv]"),
        (["r", "judge=chat", "judge.path=nowhere"], "no model folder nowhere: give judge.path=DIR"),
        (["r", "budget.usd=-1"], "budget.usd=-1"),
        (["r", "--labels", "x.csv"], "--labels belongs to calibrate"),
        (["r", "--lables", "x.csv"], "unrecognized arguments: --lables x.csv"),
        (["calibrate"], "calibrate needs labelled answers: --labels FILE [FILE ...]"),
        (["calibrate", "--labels", "gone.csv"], "cannot read gone.csv"),
    ],
)
def test_what_the_user_gets_wrong(command, arguments, message):
    done = command("judge", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert done.err.startswith("error: ") and message in done.err


def test_help_teaches(command):
    done = command("judge", "--help")
    assert done.code == 0 and done.out.count("  python -m iar.judge ") >= 5
    for word in ("dry_run=true", "budget.usd=5", "calibrate --labels", "llama-guard", "judge.prompt_file=", "panel"):
        assert word in done.out


def test_runs_that_cannot_be_judged(run, command, monkeypatch):
    from benchmark import pope

    monkeypatch.setattr(pope, "PROTOCOLS", tuple(replace(protocol, version="9") for protocol in pope.PROTOCOLS))
    other = "r was asked under protocol pope/official-9000@2, this version counts pope/official-9000@9: sweep again"
    for name, message in [("r", other), ("nowhere", "no run in nowhere")]:
        done = command("judge", name)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert message in done.err
    monkeypatch.undo()
    monkeypatch.chdir(run.parent)
    for file in (run / "configs").iterdir():
        file.unlink()
    done = command("judge", "r")
    assert done.code == 2 and "no configurations in r/configs" in done.err


def test_a_run_of_before_the_presets_or_of_other_questions_is_refused(run, command):
    file = run / "definition.json"
    definition = json.loads(file.read_text())
    asked = definition["benchmarks"]
    cases = [
        (asked | {"pope": "pope@1"}, "r was asked under protocol pope@1, this version counts pope/official-9000@2"),
        (asked | {"pope": asked["pope"] | {"questions": "0" * 64}}, "r was asked other questions of pope than are in"),
    ]
    for benchmarks, message in cases:
        file.write_text(json.dumps(definition | {"benchmarks": benchmarks}))
        done = command("judge", "r")
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1) and message in done.err
    file.write_text(json.dumps(definition))
    assert command("judge", "r").code == 0
