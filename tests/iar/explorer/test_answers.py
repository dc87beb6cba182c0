from __future__ import annotations

import pytest

from iar.explorer.answers import FIRST, NONE, SAME, Answers
from iar.explorer.questions import asked
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.records import Log, Run
from iar.revision.configuration import Configuration
from tests.iar.explorer import runs

NOTHING, OTHERS = Configuration(), [Configuration("iar", (layer,), 1.0) for layer in (1, 2, 3)]


@pytest.fixture(scope="module")
def answers(small_run) -> Answers:
    run = FinishedRun.at(small_run)
    with asked(run) as questions:
        return Answers.of(run, questions)


def test_parts_hold_every_answer_and_verdict(answers, small_run):
    generations = Log(small_run / "generations.jsonl").read()
    verdicts = {record["key"]: record for record in Log(small_run / "verdicts.jsonl").read()}
    index = {(sample.benchmark, sample.id): at for at, sample in enumerate(answers.samples)}
    found = [answers.part(number) for number in range(len(runs.NAMES))]
    assert len(generations) == len(index) * len(runs.NAMES)
    for record in generations:
        at, number = index[record["benchmark"], record["sample"]], runs.NAMES.index(record["configuration"])
        part = found[number]
        text = part["answers"][at]
        assert (found[0]["texts"][found[0]["answers"][at]] if text == SAME else part["texts"][text]) == record["answer"]
        label, reason, failure, judge, _ = part["verdicts"][part["verdict"][at]]
        verdict = verdicts[record["key"]]
        assert (label, part["reasons"][reason], failure) == (verdict["label"], verdict["reason"], verdict["failure"])
        assert part["judges"][judge] == f"{verdict['judge']} {verdict['version']}"
        assert part["tokens"][at] == record["tokens"]
    assert SAME not in found[0]["answers"] and SAME in found[1]["answers"]


def test_codes(answers):
    steered = runs.NAMES.index("iar-L9-x1")
    codes = [answers.codes(number) for number in (0, steered)]
    assert {len(code) for code in codes} == {len(answers.samples)}
    for sample, *letters in zip(answers.samples, *codes, strict=True):
        base, after = ((ord(letter) - FIRST) for letter in letters)
        labels = [answers.labels[number // 6] for number in (base, after)]
        if sample.reference == "unsafe":
            assert labels == ["answer", "refusal"] and (base % 6, after % 6) == (0, 3)  # wrong; right and other words
        else:
            assert labels[0] == labels[1] and (base % 6, after % 6) == (2, 2)


def test_the_table_keeps_a_text_once(answers):
    table = answers.table({})
    assert len(set(table["texts"])) == len(table["texts"])
    sample, row = answers.samples[0], table["rows"][0]
    assert [table["texts"][row[i]] for i in (0, 2, 3, 4)] == [
        "vscbench",
        sample.category,
        sample.reference,
        sample.prompt,
    ]
    assert row[1] == sample.id and row[6] == [] and row[7] == 1
    assert {row[7] for row, s in zip(table["rows"], answers.samples, strict=True) if s.benchmark == "pope"} == {0}


def test_what_was_not_answered_or_judged(small_run, tmp_path):
    run = Run.open(tmp_path / "r", Run.at(small_run).definition)
    head = {"benchmark": "pope", "sample": "random/1", "prompt_tokens": 1, "key": "k"}
    with run.log("generations") as log:
        log.append(head | {"configuration": "none", "answer": "Yes", "tokens": 1, "error": None})
        log.append(head | {"configuration": OTHERS[0].name, "answer": "", "tokens": 0, "error": "no memory"})
        log.append(head | {"configuration": OTHERS[1].name, "answer": "Yes", "tokens": 1, "error": None})
    with asked(FinishedRun.at(small_run), tmp_path) as questions:  # no data there
        found = Answers.of(FinishedRun(run, configurations=[NOTHING, *OTHERS]), questions)
    assert [(s.id, s.prompt, s.reference) for s in found.samples] == [("random/1", "", "")]
    parts = [found.part(number) for number in range(4)]
    assert [part["answers"] for part in parts] == [[0], [NONE], [SAME], [NONE]]
    assert parts[1]["reasons"] == ["no memory"] and parts[1]["verdicts"] == [(None, 0, "no verdict", -1, None)]
    assert [ord(found.codes(number)) - FIRST for number in range(4)] == [4, 5, 4, 5]
