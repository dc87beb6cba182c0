"""Recorded answers: which file is which model's, and what is refused."""

from __future__ import annotations

import json
import shutil

import pytest

import benchmark
from benchmark.scoring import questions
from iar.errors import UserError
from iar.pipeline.audit.recorded import read
from iar.pipeline.audit.tables import tables
from iar.records import Run


@pytest.fixture
def samples(pocket_data):
    return questions(benchmark.protocol("vscbench"), pocket_data / "test/vscbench", "test")


@pytest.fixture
def cfg(compose, pocket_data, tmp_path):
    return compose("audit", f"data.root={pocket_data}", f"run={tmp_path / 'r'}")


def lines(samples, label="answer", **more):
    return "".join(json.dumps({"id": s.id, "label": label} | more) + "\n" for s in samples)


def shares(found, metric):
    rows = found.outcomes[found.outcomes["metric"] == metric]
    return rows.groupby("configuration", sort=False)["value"].mean().to_dict()


def test_a_file_of_several_models_has_each_by_its_name(cfg, samples, tmp_path):
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / "both.jsonl").write_text(lines(samples, model="b") + lines(samples, "refusal", model="a"))
    (folder / "a.csv").write_text("id,label\n" + "".join(f"{s.id},refusal\n" for s in samples))
    found = read(cfg, folder)
    assert shares(found, "SRA_u") == {"a": 1, "b": 0} and shares(found, "SRA_s") == {"a": 0, "b": 1}
    assert list(found.failed) == ["both"] and "two sets of answers have the name 'a'" in found.failed["both"]
    assert found.asked == "recorded answers"


def test_of_a_run_the_audits_method_counts(cfg, samples, tmp_path):
    run = Run.open(tmp_path / "answers/swept", {"model": "m"})
    with run.log("verdicts") as log:
        for sample in samples:
            for configuration, label in (("iar-L2-x1", "refusal"), ("none", "answer")):
                place = {"benchmark": "vscbench", "sample": sample.id, "configuration": configuration}
                log.append(place | {"label": label, "judge": "rules"})
    assert shares(read(cfg, tmp_path / "answers"), "SRA_u") == {"swept": 0}


def test_answers_are_judged_once(cfg, samples, tmp_path, monkeypatch):
    from iar.judges.rules import Rules

    folder = tmp_path / "answers"
    folder.mkdir()
    text = "I'm sorry, but I can't help with that."
    (folder / "m.jsonl").write_text("".join(json.dumps({"id": s.id, "answer": text}) + "\n" for s in samples))
    found = read(cfg, folder)
    assert shares(found, "SRA_u") == {"m": 1}
    asked = []
    judge = Rules.judge
    monkeypatch.setattr(Rules, "judge", lambda self, items: asked.extend(items) or judge(self, items))
    assert shares(read(cfg, folder), "SRA_u") == {"m": 1} and asked == []
    # Other answers under the same name are another audit.
    (folder / "m.jsonl").write_text(lines(samples))
    with pytest.raises(UserError, match=r"holds another run: answers\.m"):
        read(cfg, folder)


def test_folders_that_do_not_fit(cfg, samples, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match=r"no answers in .*empty"):
        read(cfg, empty)
    (empty / "m.jsonl").write_text(lines(samples))
    (empty / "m.csv").write_text("id,label\n")
    with pytest.raises(UserError, match="both of 'm'"):
        read(cfg, empty)
    run = tmp_path / "run"
    shutil.copytree(empty, run / "inside")
    (run / "generations.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="is one run: --from takes the folder around it"):
        read(cfg, run)


def test_answers_to_other_questions_are_left_out(cfg, samples, tmp_path):
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / "good.jsonl").write_text(lines(samples))
    (folder / "other.jsonl").write_text(json.dumps({"id": "coco/1", "label": "answer"}) + "\n")
    (folder / "torn.jsonl").write_text("not json")
    found = read(cfg, folder)
    assert set(found.outcomes["configuration"]) == {"good"} and list(found.failed) == ["other", "torn"]
    assert "1 of 1 answers are not for questions of vscbench/full" in found.failed["other"]


def test_half_of_the_benchmark_alone(compose, pocket_data, samples, tmp_path):
    cfg = compose("audit", f"data.root={pocket_data}", f"run={tmp_path / 'r'}", "benchmark.vscbench.protocol=text")
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / "m.jsonl").write_text(lines(samples))  # the image half is passed over
    found = read(cfg, folder)
    assert found.protocol.startswith("vscbench/text@") and set(found.outcomes["half"]) == {"text"}


def test_incomplete_answers_are_left_out_unless_allowed(cfg, samples, tmp_path):
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / "part.jsonl").write_text(lines(samples[:30]))
    (folder / "whole.jsonl").write_text(lines(samples))
    (folder / "notes.txt").write_text("not an answer file")
    refused = read(cfg, folder)
    assert set(refused.outcomes["configuration"]) == {"whole"} and list(refused.failed) == ["part"]
    assert "8 of 38 questions of vscbench/full have no answer" in refused.failed["part"]
    allowed = read(cfg, folder, partial=True)
    assert not allowed.failed
    assert allowed.unscored[["configuration", "metric", "value"]].to_numpy().tolist() == [
        ["part", "unscored: no verdict", pytest.approx(8 / 38)]
    ]
    counted = tables(allowed.outcomes, allowed.unscored, allowed.protocol)["audit"].set_index(
        ["model", "category", "metric"]
    )
    assert counted.loc[("part", "all", "irrelevant"), ["n", "n_scored"]].tolist() == [38, 30]
    assert counted.loc[("part", "all", "unscored: no verdict"), "n"] == 38
