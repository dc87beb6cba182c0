from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.prompting import Turn
from iar.remote import Budget, Client, Endpoint, Reply, Request
from tests.iar.remote_server import Raw, completion

Make = Callable[..., Any]
USAGE = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}


def counted(messages: list[dict[str, Any]]) -> Raw:
    return completion("fine", usage=USAGE)


def ask(client: Client, requests: Sequence[Request]) -> list[Reply]:
    found = dict(client.ask(requests))
    return [found[index] for index in range(len(requests))]


def test_sending_stops_before_the_budget_is_exceeded_and_a_larger_one_goes_on(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = chat_server(counted)
    endpoint = endpoint_of(server, concurrency=3)
    requests = asking(20)  # each may cost 3 + 20 tokens, and does cost 10

    first = ask(Client(endpoint, cache=tmp_path, budget=Budget(tokens=100)), requests)

    # The ninth may still be sent after 8 x 10 (80 + 23 > 100): no.
    assert [reply.failure for reply in first] == [""] * 8 + ["budget"] * 12 and len(server.calls) == 8
    assert first[-1].reason == "the budget of 100 tokens is spent" and first[-1].tokens_in == 0
    told = capsys.readouterr().err
    assert "the budget of 100 tokens is spent, 12 of 20 requests were not asked" in told

    same = ask(Client(endpoint, cache=tmp_path, budget=Budget(tokens=100)), requests)
    assert [reply.failure for reply in same] == [reply.failure for reply in first] and len(server.calls) == 8
    larger = Budget(tokens=215)
    more = ask(Client(endpoint, cache=tmp_path, budget=larger), requests)
    assert not any(reply.failure for reply in more) and len(server.calls) == 20
    assert (larger.spent.tokens_in, larger.spent.tokens_out) == (60, 140)


def test_dollars(chat_server: Make, endpoint_of: Make, asking: Make) -> None:
    server = chat_server(counted)
    endpoint = endpoint_of(server, concurrency=1, price_in=1000.0, price_out=10_000.0)
    budget = Budget(usd=0.5)  # a request may cost 0.003 + 0.2 and does cost 0.003 + 0.07

    replies = ask(Client(endpoint, budget=budget), asking(10))

    assert Counter(reply.failure for reply in replies) == {"": 5, "budget": 5}  # 5 x 0.073 + 0.203 > 0.5
    assert budget.spent.usd == pytest.approx(5 * 0.073)


def test_no_budget_at_all_sends_nothing(chat_server: Make, endpoint_of: Make, asking: Make) -> None:
    server = chat_server(counted)

    assert {reply.failure for reply in ask(Client(endpoint_of(server), budget=Budget(tokens=0)), asking(5))} == {
        "budget"
    }
    assert not server.calls


def test_in_flight_together_never_exceed_the_budget(chat_server: Make, endpoint_of: Make, asking: Make) -> None:
    server = chat_server(lambda messages: completion("fine", usage={"prompt_tokens": 3, "completion_tokens": 20}))
    server.delay = 0.05

    replies = ask(Client(endpoint_of(server, concurrency=16), budget=Budget(tokens=100)), asking(40))

    assert len(server.calls) == 4 and server.at_once == 4  # 4 x 23 <= 100 < 5 x 23
    assert Counter(reply.failure for reply in replies) == {"": 4, "budget": 36}


def test_a_large_request_ends_the_asking_even_if_small_ones_would_fit(
    chat_server: Make, endpoint_of: Make, asking: Make
) -> None:
    server = chat_server(counted)
    large = Request((Turn("user", "x" * 400),), 20)
    requests = [*asking(2), large, *asking(4)[2:]]

    replies = ask(Client(endpoint_of(server, concurrency=1), budget=Budget(tokens=100)), requests)

    assert [reply.failure for reply in replies] == ["", "", "budget", "budget", "budget"]


def test_what_failed_attempts_cost_is_counted_now_and_on_resume(
    chat_server: Make, endpoint_of: Make, asking: Make, tmp_path: Path
) -> None:
    billed = Raw(200, {"choices": [], "usage": USAGE})
    server = chat_server(lambda messages: billed if len(server.calls) < 3 else counted(messages))
    budget = Budget(tokens=1000)
    (reply,) = ask(Client(endpoint_of(server), cache=tmp_path, budget=budget), asking(1))
    assert (reply.failure, reply.tokens_in, budget.spent.tokens) == ("", 3, 30)

    again = Budget(tokens=1000)
    (reply,) = ask(Client(endpoint_of(server), cache=tmp_path, budget=again), asking(1))
    assert (reply.cached, reply.tokens_in, again.spent.tokens, len(server.calls)) == (True, 3, 30, 3)

    server.answer = lambda messages: Raw(500, {"error": {"message": "billed"}, "usage": USAGE})
    (reply,) = ask(Client(endpoint_of(server, attempts=2), cache=tmp_path, budget=again), asking(2)[1:])
    assert (reply.failure, again.spent.tokens) == ("error", 50)
    resumed = Budget(tokens=1000)
    ask(Client(endpoint_of(server, attempts=2), cache=tmp_path, budget=resumed), asking(2))
    assert resumed.spent.tokens == 30 + 20 + 20  # the failed one was asked again


def test_dollars_without_prices_are_told_at_once() -> None:
    with pytest.raises(UserError, match=r"budget\.usd needs the prices of m"):
        Client(Endpoint("m"), budget=Budget(usd=1.0))
