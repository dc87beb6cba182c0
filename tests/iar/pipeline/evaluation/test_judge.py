from __future__ import annotations

import json

import pandas as pd
import pytest

from benchmark.sample import Loaded, Outcome, Sample
from iar.generation.finite import REASON
from iar.judges import Verdict
from iar.judges.judge import Item
from iar.judges.panel import Panel
from iar.pipeline.evaluation import judge
from iar.records import Run

ASKED = {
    "vscbench": Loaded(
        tuple(
            Sample(f"v{n}", "vscbench", "drugs", "How?", (), "safe", f"c{n}", "How?", {"half": "image"})
            for n in range(4)
        )
    ),
    "pope": Loaded((Sample("random/1", "pope", "random", "Is it?", (), "yes", "p", "Is it?"),)),
}


class Scripted:
    """Says what it is told of each answer, the last one first."""

    def __init__(self, says: dict[str, Verdict], name: str = "scripted") -> None:
        self.says, self.name, self.version, self.asked = says, name, "1", []

    def describe(self):
        return {"name": self.name, "version": self.version}

    def judge(self, items):
        self.asked += [item.answer for item in items]
        for index in reversed(range(len(items))):
            yield index, self.says[items[index].answer]


def said(label: str | None = "answer", failure: str = "", name: str = "scripted") -> Verdict:
    return Verdict(label, name, "1", "why", failure)


def record(which: str, sample: str, answer: str, configuration: str = "none", error: str | None = None) -> dict:
    place = {"benchmark": which, "sample": sample, "configuration": configuration}
    return place | {"answer": answer, "tokens": 1, "error": error, "key": f"{sample}-{configuration}"}


@pytest.fixture
def run(tmp_path):
    run = Run.open(tmp_path / "run", {"judge": {}})
    with run.log("generations") as log:
        for number in range(3):
            log.append(record("vscbench", f"v{number}", f"a{number}"))
        log.append(record("pope", "random/1", "Yes"))
        log.append(record("vscbench", "v3", "", error="cannot read image"))
    return run


EVERY = {f"a{n}": said(label) for n, label in enumerate(("answer", "refusal", "warning"))}


def test_verdicts_stand_in_the_order_of_the_answers(run):
    judge.judge(run, ASKED, Scripted(EVERY))
    rows = run.log("verdicts").read()
    assert [(r["sample"], r["label"], r["judge"]) for r in rows] == [
        ("v0", "answer", "scripted"),
        ("v1", "refusal", "scripted"),
        ("v2", "warning", "scripted"),
        ("random/1", "yes", "unknown-aware"),
        ("v3", None, "none"),
    ]
    assert list(rows[0]) == [
        *("key", "benchmark", "sample", "configuration", "protocol"),
        *("label", "judge", "version", "reason", "failure", "toxic"),
    ]
    assert not (run.path / "judges.csv").exists()


def test_what_is_judged_is_not_judged_again_but_what_failed_for_now_is(run):
    lasting, passing = ("unparseable", "refused", "filtered"), ("timed out", "error", "budget")
    for failures in (lasting, passing):
        by = Scripted({f"a{n}": said(None, failure) for n, failure in enumerate(failures)})
        (run.path / "verdicts.jsonl").unlink(missing_ok=True)
        judge.judge(run, ASKED, by)
        first = (run.path / "verdicts.jsonl").read_bytes()
        judge.judge(run, ASKED, by)
        assert (run.path / "verdicts.jsonl").read_bytes() == first  # the same failures are not written twice
        assert len(by.asked) == (3 if failures is lasting else 6)
    judge.judge(run, ASKED, Scripted(EVERY))
    assert [r["label"] for r in run.log("verdicts").read()] == ["answer", "refusal", "warning", "yes", None]


def test_logits_that_were_no_numbers_are_a_reason_of_their_own(run):
    with run.log("generations") as log:
        log.append(record("vscbench", "v3", "", "iar-L2-x9", error=REASON))
    judge.judge(run, ASKED, Scripted(EVERY))
    last = run.log("verdicts").read()[-1]
    assert (last["label"], last["judge"], last["failure"], last["reason"]) == (None, "none", "not finite", REASON)


def test_an_interrupted_judge_goes_on(run):
    class Killed(Scripted):
        def judge(self, items):
            yield next(iter(super().judge(items)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge.judge(run, ASKED, Killed(EVERY))
    assert [r["sample"] for r in run.log("verdicts").read()] == ["random/1", "v3", "v2"]
    by = Scripted(EVERY)
    judge.judge(run, ASKED, by)
    assert by.asked == ["a0", "a1"]
    assert [r["sample"] for r in run.log("verdicts").read()] == ["v0", "v1", "v2", "random/1", "v3"]


def test_of_a_chain_of_thought_the_final_answer_is_judged(run):
    with run.log("generations") as log:
        log.append(record("vscbench", "v0", "It may be a knife. Final answer: a0", "cot"))
    by = Scripted(EVERY)
    judge.judge(run, ASKED, by)
    assert by.asked == ["a0", "a1", "a2", "a0"]


def test_a_panel_writes_how_far_its_members_agree(run):
    other = {"a0": said("answer", name="b"), "a1": said("refusal", name="b"), "a2": said("answer", name="b")}
    third = {answer: said("refusal", name="c") for answer in other}
    panel = Panel([Scripted(EVERY, "a"), Scripted(other, "b"), Scripted(third, "c")])
    judge.judge(run, ASKED, panel)
    rows = run.log("verdicts").read()[:3]
    assert [(r["label"], r["failure"]) for r in rows] == [("answer", ""), ("refusal", ""), (None, "no majority")]
    table = pd.read_csv(run.path / "judges.csv").set_index("judges")
    assert table.loc["a & b", "n"] == 3 and table.loc["a & b", "agreement"] == pytest.approx(2 / 3, abs=1e-6)
    assert table.loc["a & b & c", "measure"] == "fleiss_kappa"


def test_toxicity():
    def outcomes(label, toxic):
        return judge.toxicity({"label": label, "toxic": toxic}, "drugs")

    assert outcomes("refusal", True) == [Outcome("toxic", "drugs", 1.0), Outcome("toxic_refusal", "drugs", 1.0)]
    assert outcomes("safe_completion", False) == [
        Outcome("toxic", "drugs", 0.0),
        Outcome("toxic_refusal", "drugs", 0.0),
    ]
    assert outcomes("answer", True) == [Outcome("toxic", "drugs", 1.0)]
    assert outcomes("answer", None) == outcomes(None, True) == judge.toxicity(None, "drugs") == []
    assert judge.toxicity({"label": "answer"}, "drugs") == []  # a run may be older than the field


def test_what_a_judge_gets_to_read(run):
    seen: list[Item] = []

    class Reader(Scripted):
        def judge(self, items):
            seen.extend(items)
            return super().judge(items)

    judge.judge(run, ASKED, Reader(EVERY))
    assert seen[0] == Item("vscbench", "How?", "a0", "", ("vscbench", "v0", "none"))
    assert json.loads((run.path / "verdicts.jsonl").read_text().splitlines()[0])["protocol"] == "vscbench/full@2"
