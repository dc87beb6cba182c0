from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import iar.errors
from iar.errors import UserError
from iar.prompting import Turn
from iar.remote import Budget, Client, Endpoint, Estimate, Reply, Request
from tests.iar.remote_server import FAULTS, LASTING, Raw, completion, error

Make = Callable[..., Any]


def shouted(messages: list[dict[str, Any]]) -> str:
    return messages[-1]["content"].upper()


def ask(client: Client, requests: Sequence[Request]) -> list[Reply]:
    """The replies in the order of the requests, each of which came exactly once."""
    found = list(client.ask(requests))
    assert sorted(index for index, _ in found) == list(range(len(requests)))
    return [reply for _, reply in sorted(found, key=lambda pair: pair[0])]


def test_every_request_ends_with_a_text_or_a_reason_whatever_the_server_does(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path
) -> None:
    server = chat_server(shouted, faults=0.3, seed=1, hang=15.0)
    endpoint = endpoint_of(server, timeout=5.0, concurrency=16)

    replies = ask(Client(endpoint, cache=tmp_path), asking(150))

    assert set(server.faulted) == {"", *FAULTS}  # each was met
    filtered, echoed = server.faulted["filtered"], server.faulted["echo"]
    assert Counter(reply.failure for reply in replies) == {
        "": 150 - filtered - echoed,
        "filtered": filtered,
        "error": echoed,
    }
    for index, reply in enumerate(replies):
        assert reply.text == (f"QUESTION {index}" if not reply.failure else "")
        assert bool(reply.reason) == bool(reply.failure)
    transient = sum(number for fault, number in server.faulted.items() if fault and fault not in LASTING)
    assert len(server.calls) == 150 + transient
    assert 2 <= server.at_once <= 16


def test_the_same_call_again_sends_only_what_is_missing(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = chat_server(shouted, faults=0.5, kinds=("filtered", "echo", "500"))
    endpoint = endpoint_of(server, attempts=1)
    first = ask(Client(endpoint, cache=tmp_path), asking(40))
    kept = [reply.failure in ("", "filtered") for reply in first]
    assert {reply.failure for reply in first} == {"", "filtered", "error"} and len(server.calls) == 40

    server.faults = 0.0
    second = ask(Client(endpoint, cache=tmp_path), asking(40))

    assert len(server.calls) == 40 + kept.count(False)
    assert [reply.cached for reply in second] == kept
    assert [replace(reply, cached=False) for reply, known in zip(second, kept, strict=True) if known] == [
        reply for reply, known in zip(first, kept, strict=True) if known
    ]
    monkeypatch.delenv("IAR_TEST_KEY")  # nothing is missing: no key, no server
    server.close()
    assert all(reply.cached for reply in ask(Client(endpoint, cache=tmp_path), asking(40)))


def test_identical_requests_are_sent_once(chat_server: Make, endpoint_of: Make, asking: Make) -> None:
    server = chat_server(shouted)
    client = Client(endpoint_of(server))  # no folder: kept for the life of the client

    replies = ask(client, asking(3) * 4)

    assert len(server.calls) == 3 and [reply.text for reply in replies[:4]] == [
        "QUESTION 0",
        "QUESTION 1",
        "QUESTION 2",
        "QUESTION 0",
    ]
    assert Counter(reply.cached for reply in replies) == {False: 3, True: 9}
    assert all(reply.cached for reply in ask(client, asking(3))) and len(server.calls) == 3
    assert not any(reply.cached for reply in ask(Client(client.endpoint), asking(3)))


def test_no_more_than_the_bound_are_on_their_way(chat_server: Make, endpoint_of: Make, asking: Make) -> None:
    server = chat_server(shouted, delay=0.05)

    ask(Client(endpoint_of(server, concurrency=5)), asking(30))

    assert server.at_once == 5


@pytest.mark.parametrize(
    ("answer", "failure", "reason", "text"),
    [
        (completion("", "content_filter"), "filtered", "ended by content_filter", ""),
        (error(400, "flagged", "content_filter"), "filtered", "400: flagged", ""),
        (error(400, "flagged", "content_policy_violation"), "filtered", "400: flagged", ""),
        (error(400, "x", "400", innererror={"code": "ResponsibleAIPolicyViolation"}), "filtered", "400: x", ""),
        (error(403, "moderated", None, metadata={"flagged_input": "…"}), "filtered", "403: moderated", ""),
        (completion(None, refusal="I cannot."), "refused", "I cannot.", "I cannot."),
        (completion("  "), "empty", "no text, ended by stop", ""),
        (completion("Half an ans", "length"), "", "length", "Half an ans"),
        (error(400, "too\nlong"), "error", "400: too long", ""),
        (error(413, "too big"), "error", "413: too big", ""),
        (error(422, "no such role"), "error", "422: no such role", ""),
        (Raw(418, "I am a teapot", content_type="text/plain"), "error", "418: I am a teapot", ""),
    ],
)
def test_what_cannot_pass_is_asked_once(
    chat_server: Make, endpoint_of: Make, asking: Make, answer: Raw, failure: str, reason: str, text: str
) -> None:
    server = chat_server(lambda messages: answer)

    (reply,) = ask(Client(endpoint_of(server)), asking(1))

    assert (reply.failure, reply.reason, reply.text, len(server.calls)) == (failure, reason, text, 1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error(408, "late"), "408: late"),
        (error(409, "busy"), "409: busy"),
        (error(429, "slow down"), "429: slow down"),
        (Raw(429, [{"error": {"message": "quota", "details": [{"retryDelay": "0.01s"}]}}]), "429: quota"),
        (error(500, "oh"), "500: oh"),
        (error(503, "loading"), "503: loading"),
        (Raw(529, "overloaded"), "529: overloaded"),
        (Raw(200, ""), "empty body"),
        (Raw(200, "<html>", content_type="text/html"), "body is no JSON (6 bytes)"),
        (Raw(200, "[" * 5000), "body is no JSON (5000 bytes)"),
        (Raw(200, {"choices": []}), "JSON body is no completion"),
        (Raw(200, {"error": {"message": "upstream"}}), "no completion: upstream"),
    ],
)
def test_what_may_pass_is_asked_again(
    chat_server: Make, endpoint_of: Make, asking: Make, answer: Raw, reason: str
) -> None:
    server = chat_server(lambda messages: answer if len(server.calls) < 3 else "fine")

    assert [reply.text for reply in ask(Client(endpoint_of(server)), asking(1))] == ["fine"]
    assert len(server.calls) == 3
    server.answer = lambda messages: answer
    (reply,) = ask(Client(endpoint_of(server, attempts=4)), asking(1))

    assert (reply.failure, reply.reason, len(server.calls)) == ("error", f"{reason} (4 attempts)", 7)


@pytest.mark.parametrize(("fault", "failure"), [("hang", "timed out"), ("reset", "error"), ("torn", "error")])
def test_a_connection_that_fails_fails_its_request_alone(
    chat_server: Make, endpoint_of: Make, asking: Make, fault: str, failure: str
) -> None:
    server = chat_server(faults=1.0, kinds=(fault,))

    limit = 0.3 if fault == "hang" else 60  # a busy machine takes its time
    replies = ask(Client(endpoint_of(server, timeout=limit, attempts=2)), asking(3))

    assert [reply.failure for reply in replies] == [failure] * 3 and len(server.calls) == 6
    assert all(reply.reason.endswith("(2 attempts)") for reply in replies)


def test_a_server_that_drips_is_timed_out(endpoint_of: Make, asking: Make, chat_server: Make) -> None:
    """A byte now and then would satisfy a time-out that is counted from byte to byte."""

    server = chat_server()
    server.drip = 0.1
    (reply,) = ask(Client(endpoint_of(server, timeout=0.5, attempts=1)), asking(1))

    assert (reply.failure, reply.reason) == ("timed out", "no reply in 0.5 s")


def test_the_server_s_advice_is_waited_for(chat_server: Make, endpoint_of: Make, asking: Make) -> None:
    times: list[float] = []

    def answer(messages: list[dict[str, Any]]) -> str | Raw:
        times.append(time.monotonic())
        return "fine" if len(times) == 2 else error(429, "slow down", headers={"Retry-After": "1"})

    (reply,) = ask(Client(endpoint_of(chat_server(answer))), asking(1))

    assert reply.text == "fine" and 1.0 <= times[1] - times[0] < 2.0


def test_an_estimate_sends_nothing_and_counts_what_is_missing(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = chat_server(shouted)
    client = Client(endpoint_of(server, price_in=1.0, price_out=10.0), cache=tmp_path)
    ask(client, asking(2))
    monkeypatch.delenv("IAR_TEST_KEY")

    # "question 7" is 10 characters: 3 tokens
    assert client.estimate(asking(5) * 2) == Estimate(3, 2, 9, 60, pytest.approx(609e-6))
    assert client.estimate(asking(2)) == Estimate(0, 2, 0, 0, 0.0)
    assert Client(Endpoint("other")).estimate(asking(1)).usd is None
    assert len(server.calls) == 2


def test_usage_is_estimated_where_the_server_counts_nothing(
    chat_server: Make, endpoint_of: Make, asking: Make, images: list[Path]
) -> None:
    server = chat_server(lambda messages: completion("x" * 10, usage=False))
    requests = [Request((Turn("user", "x" * 8, (images[0],)),), 20)]

    (reply,) = ask(Client(endpoint_of(server, image_tokens=50)), requests)

    assert (reply.tokens_in, reply.tokens_out) == (52, 3)


def test_nothing_is_shown_where_nothing_is_sent(
    chat_server: Make, endpoint_of: Make, asking: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client(endpoint_of(chat_server(shouted), price_in=1.0, price_out=1.0), label="judging")
    ask(client, asking(3))
    assert "judging: 3 of 3 requests, " in (shown := capsys.readouterr().err) and "$0.0003" in shown

    ask(client, asking(3))
    assert capsys.readouterr() == ("", "")


def test_two_bars_at_once(chat_server: Make, endpoint_of: Make, asking: Make) -> None:
    server = chat_server(shouted)
    one, two = Client(endpoint_of(server), label="one"), Client(endpoint_of(server), label="two")

    pairs = [(a.text, b.text) for (_, a), (_, b) in zip(one.ask(asking(3)), two.ask(asking(3)), strict=True)]

    assert len(pairs) == 3


def test_budgets_are_shared(chat_server: Make, endpoint_of: Make, asking: Make) -> None:
    server, budget = chat_server(shouted), Budget(tokens=1000)
    endpoint = endpoint_of(server)
    ask(Client(endpoint, budget=budget), asking(4))
    ask(Client(replace(endpoint, model="other"), budget=budget), asking(3))

    assert budget.spent.tokens == 7 * 110


def test_without_its_packages_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked: the core is installed without them."""
    monkeypatch.setattr(iar.errors, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"^asking m at an endpoint needs the openai and tenacity packages: pip install"
    ):
        Client(Endpoint(base_url="http://localhost:1/v1", model="m"))
