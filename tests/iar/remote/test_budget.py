from __future__ import annotations

from pathlib import Path

import pytest

from iar.errors import UserError
from iar.prompting import Turn
from iar.remote import Budget, Endpoint, Estimate, Request
from iar.remote.budget import Spend, tokens_in

PRICED = Endpoint("m", "http://localhost/v1", price_in=2.0, price_out=10.0)


def test_what_is_in_flight_counts_until_it_is_known() -> None:
    budget, most = Budget(tokens=100), Spend(30, 20)

    assert [budget.reserve(most), budget.reserve(most), budget.reserve(Spend(1, 0))] == [True, True, False]
    budget.settle(most, Spend(30, 5))

    assert budget.spent.tokens == 35
    assert [budget.reserve(Spend(0, 16)), budget.reserve(Spend(0, 15)), budget.reserve(Spend(1, 0))] == [
        False,
        True,
        False,
    ]


def test_dollars_at_the_endpoint_s_prices() -> None:
    budget = Budget(usd=0.01)
    most = Spend.of(PRICED, 1000, 500)  # 0.002 + 0.005

    assert most.usd == pytest.approx(0.007)
    assert [budget.reserve(most), budget.reserve(most)] == [True, False]
    budget.settle(most, Spend.of(PRICED, 1000, 100))
    assert budget.spent.usd == pytest.approx(0.003)
    assert budget.reserve(most)


def test_an_earlier_run_counts_once() -> None:
    budget = Budget(tokens=100)
    for _ in range(3):
        budget.earlier("a", Spend(40, 10))
    budget.earlier("b", Spend(10, 0))

    assert budget.spent.tokens == 60


def test_dollars_need_prices() -> None:
    Budget(usd=1.0).check(PRICED)
    Budget(tokens=1).check(Endpoint("m"))
    with pytest.raises(UserError, match=r"budget\.usd needs the prices of m: set endpoint\.price_in"):
        Budget(usd=1.0).check(Endpoint("m"))
    with pytest.raises(UserError, match=r"budget\.usd=-1"):
        Budget(usd=-1)
    with pytest.raises(UserError, match=r"budget\.tokens='5'"):
        Budget(tokens="5")  # type: ignore[arg-type]


def test_a_request_s_tokens() -> None:
    turns = (Turn("system", "x" * 9), Turn("user", "y" * 4, (Path("a"), Path("b"))))

    assert tokens_in(PRICED, Request(turns, 20)) == 3 + 1 + 2 * 1000
    schema = {"type": "object"}  # written as {'type': 'object'}: 18 characters
    assert tokens_in(PRICED, Request(turns[:1], 20, schema)) == 3 + 5


def test_estimates_add_up_and_can_be_read() -> None:
    total = Estimate(2, 1, 1000, 200, 0.5) + Estimate(1, 0, 10, 20, 0.25)

    assert total == Estimate(3, 1, 1010, 220, 0.75)
    assert str(total) == "3 requests to send (1 in the cache), about 1,010 tokens in, at most 220 out, at most $0.7500"
    assert (total + Estimate(1, 0, 1, 1, None)).usd is None
