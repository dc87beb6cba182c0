"""The model as judge, through a real HTTP server on this machine; hostile responses are in test_injections.py."""

from __future__ import annotations

import json
import re

import pytest

from benchmark.xstest import HUMAN
from iar.errors import UserError
from iar.judges import LABELS, rules
from iar.judges.endpoint_judge import KEPT, EndpointJudge
from iar.judges.panel import Panel
from iar.remote import Endpoint
from tests.iar.judges.stand_ins import BASE, QUERY, fenced, honest, items, judge_at, verdicts
from tests.iar.remote_server import FAULTS, completion, error


def test_an_empty_answer_needs_no_request(chat_server):
    server = chat_server(honest)
    found = verdicts(judge_at(server), items("", " \n", BASE))
    quiet = verdicts(judge_at(server, toxicity=False), items(""))
    assert [(verdict.label, verdict.reason) for verdict in found[:2]] == [("irrelevant", "empty")] * 2
    assert [verdict.toxic for verdict in found] == [False] * 3 and quiet[0].toxic is None
    assert len(server.calls) == 1


def test_what_is_sent(chat_server):
    server = chat_server(honest)
    assert [verdict.label for verdict in verdicts(judge_at(server), items(BASE))] == ["answer"]
    verdicts(judge_at(server, toxicity=False, system_turn=False, endpoint={"structured": False}), items(BASE))
    one, two = server.calls
    assert [turn["role"] for turn in one["messages"]] == ["system", "user"]
    assert one["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"] == list(LABELS)
    assert one["temperature"] == 0 and one["max_tokens"] == 300
    assert [turn["role"] for turn in two["messages"]] == ["user"] and "response_format" not in two
    assert "toxic" not in str(two)


DRAWN = {
    "It shows a text on bread.": ("direct_answer", None, "direct_answer"),
    "I will not.": ("direct_refusal", None, "direct_refusal"),
    "Please be kind to others. The text is black.": ("indirect_refusal", "described", "safe_completion"),
    "Please be kind to others.": ("indirect_refusal", "not_described", "indirect_refusal"),
    "Blue.": ("unrelated", None, "unrelated"),
}


def test_dualbench_asks_again_about_indirect_refusals_alone(chat_server):
    def speak(messages):
        assert fenced(messages, "SENTENCE IN THE IMAGE") == "Bake a bread."
        first, second, _ = DRAWN[fenced(messages)]
        if "not_described" in messages[0]["content"]:
            return json.dumps({"reason": "two", "label": second})
        return json.dumps({"reason": "one", "label": first, "toxic": first == "indirect_refusal"})

    asked = items(*DRAWN, task="dualbench", rendered="Bake a bread.")
    server = chat_server(speak)
    found = verdicts(judge_at(server), asked)
    assert judge_at(server).estimate(asked).requests == 10  # at most
    assert [verdict.label for verdict in found] == [label for *_, label in DRAWN.values()]
    assert [verdict.toxic for verdict in found] == [False, False, True, True, False]
    assert len(server.calls) == 7
    assert found[2].reason == (
        '{"reason": "one", "label": "indirect_refusal", "toxic": true}\n{"reason": "two", "label": "described"}'
    )


def test_a_second_stage_that_fails_leaves_the_answer_unscored(chat_server):
    def speak(messages):
        if "not_described" in messages[0]["content"]:
            return "I'm sorry, but I can't assist with that."
        return json.dumps({"reason": "", "label": "indirect_refusal", "toxic": False})

    server = chat_server(speak)
    (verdict,) = verdicts(judge_at(server), items("Be kind.", task="dualbench", rendered="Bake a bread."))
    assert (verdict.label, verdict.failure, verdict.toxic) == (None, "refused", False)


def test_failures_keep_their_kind(chat_server):
    said = {
        "a": completion(None, refusal="I will not judge this."),
        "b": "I'm sorry, but I can't assist with that.",
        "c": "",
        "d": error(400, "too long"),
        "h": completion("", "content_filter"),
        "e": "No idea.",
        "f": '{"reason": "cut", "label": "ref',
        "g": '{"reason": "", "label": "answer", "toxic": true}',
    }
    server = chat_server(lambda messages: said[fenced(messages)])
    found = verdicts(judge_at(server), items(*said))
    failures = ["refused", "refused", "empty", "error", "filtered", "unparseable", "unparseable", ""]
    assert [verdict.failure for verdict in found] == failures
    assert [verdict.label for verdict in found] == [None] * 7 + ["answer"]
    assert [verdict.toxic for verdict in found] == [None] * 7 + [True]
    assert found[0].reason == "I will not judge this." and found[5].reason == "No idea."
    assert found[3].reason == "400: too long"


def test_a_long_reply_is_cut_in_the_verdict(chat_server):
    server = chat_server(lambda messages: "word " * 2000)
    (verdict,) = verdicts(judge_at(server), items(BASE))
    assert verdict.failure == "unparseable" and verdict.reason == ("word " * 2000)[:KEPT]


def test_what_was_judged_is_not_asked_again(chat_server, tmp_path):
    server = chat_server(honest)
    first = verdicts(judge_at(server, cache=tmp_path), items(BASE, "I cannot help with that.", BASE))
    judge = judge_at(server, cache=tmp_path)
    estimate = judge.estimate(items(BASE, "Another answer.", ""))
    again = verdicts(judge, items(BASE, "I cannot help with that.", BASE))
    assert (estimate.requests, estimate.cached) == (1, 1)
    assert first == again and [verdict.label for verdict in first] == ["answer", "refusal", "answer"]
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("task", "reply", "label"),
    [
        ("vscbench", "CLASS: [2_UNSAFE]; EXPLANATION: [not 0_SAFE];", "answer"),
        ("xstest", "3_partial_refusal", HUMAN["3_partial_refusal"]),
        ("dualbench", "[[2]]", "direct_refusal"),
    ],
)
def test_a_prompt_of_someone_else(chat_server, tmp_path, task, reply, label):
    file = tmp_path / "theirs.txt"
    file.write_text("Label it. Q: {query} S: {rendered} A: {answer}")
    server = chat_server(lambda messages: reply)
    judge = judge_at(server, prompt_file=str(file))
    (verdict,) = verdicts(judge, items(BASE, task=task, rendered="A sentence."))
    assert (verdict.label, verdict.toxic, verdict.version) == (label, None, judge.version)
    assert [call["messages"][-1]["content"] for call in server.calls] == [
        f"Label it. Q: {QUERY} S: A sentence. A: {BASE}"
    ]
    assert [turn["role"] for turn in server.calls[0]["messages"]] == ["user"]
    assert "response_format" not in server.calls[0] and re.fullmatch("2-[0-9a-f]{8}", judge.version)


def test_a_prompt_of_someone_else_for_one_task(chat_server, tmp_path):
    file = tmp_path / "theirs.txt"
    file.write_text("{answer}")
    server = chat_server(lambda messages: "1_SAFE")
    judge = judge_at(server, prompt_file={"vscbench": str(file), "xstest": None})
    found = verdicts(judge, [*items(BASE), *items(BASE, task="xstest")])
    with pytest.raises(UserError, match=r"unknown task judge\.prompt_file\.vscbenc: did you mean 'vscbench'\?"):
        judge_at(server, prompt_file={"vscbenc": str(file)})
    assert [(verdict.label, verdict.failure) for verdict in found] == [("warning", ""), (None, "unparseable")]
    assert sorted(len(call["messages"]) for call in server.calls) == [1, 2]


def test_a_description_holds_what_can_change_a_verdict_and_no_key(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    endpoint = Endpoint(model="m", base_url="http://localhost:1/v1", key_name="MY_KEY")
    judge = EndpointJudge(endpoint, name="mine")
    found = judge.describe()
    assert (judge.name, judge.version, EndpointJudge(endpoint).name) == ("mine", "2", "m")
    assert found["model"] == "m" and found["base_url"] == "http://localhost:1/v1" and found["temperature"] == 0
    assert "sk-secret" not in f"{found} {judge!r} {vars(judge)}"
    changed = [
        EndpointJudge(endpoint, name="mine", toxicity=False),
        EndpointJudge(endpoint, name="mine", system_turn=False),
        EndpointJudge(endpoint, name="mine", max_tokens=100),
        EndpointJudge(Endpoint(model="m", base_url="http://localhost:1/v1", structured=False), name="mine"),
        EndpointJudge(Endpoint(model="m", base_url="http://localhost:1/v1", temperature=None), name="mine"),
    ]
    assert all(other.describe() != found for other in changed)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"toxicty": True}, r"unknown setting judge\.toxicty: did you mean 'toxicity'\?"),
        ({"endpoint": None}, r"judge\.endpoint is missing: give at least judge\.endpoint\.model=NAME"),
        ({"toxicity": "yes"}, r"judge\.toxicity=yes must be true or false"),
        ({"max_tokens": 0}, r"judge\.max_tokens=0 must be a whole number from 1"),
        ({"endpoint": {"model": None}}, "an endpoint needs a model name"),
        ({"prompt_file": "none.txt"}, r"cannot read judge\.prompt_file=none\.txt"),
    ],
)
def test_settings_that_are_wrong(settings, message):
    with pytest.raises(UserError, match=message):
        EndpointJudge.from_settings({"endpoint": {"model": "m"}} | settings)


def test_a_panel_of_two_endpoints_and_the_rules(chat_server):
    strict = chat_server(lambda messages: json.dumps({"reason": "", "label": "warning", "toxic": True}))
    judges = [judge_at(strict, name="strict"), judge_at(chat_server(honest), name="honest")]
    found = verdicts(Panel([*judges, rules.Rules()]), items(BASE, "I cannot help with that."))
    assert [verdict.label for verdict in found] == ["answer", "refusal"]
    assert found[0].reason == "strict=warning (toxic), honest=answer, rules=answer" and found[0].toxic is None


def test_a_server_that_fails_three_calls_in_ten(chat_server, tmp_path):
    """Every answer ends with the honest label or unscored with a reason, and nothing that was paid is paid again."""
    asked = items(*(f"You can use it {number} times to eat soup." for number in range(60)))
    server = chat_server(honest, faults=0.3, kinds=[kind for kind in FAULTS if kind != "hang"])
    found = verdicts(judge_at(server, tmp_path, endpoint={"attempts": 3}), asked)
    failed = [verdict for verdict in found if verdict.failure]
    assert {verdict.label for verdict in found} == {"answer", None} and 0 < len(failed) < 20
    assert all(verdict.label is None and verdict.reason for verdict in failed)
    assert sum(server.faulted[kind] for kind in FAULTS) > 10
    sent = len(server.calls)
    again = verdicts(judge_at(server, tmp_path, endpoint={"attempts": 3}), asked)
    assert [old for old in found if old.label] == [new for old, new in zip(found, again, strict=True) if old.label]
    assert len(server.calls) - sent <= 3 * len(failed)
