from __future__ import annotations

from dataclasses import replace

import pytest

from benchmark.speed import flops
from benchmark.speed.flops import Work
from benchmark.speed.sizes import FULL
from iar.revision.configuration import Configuration

NONE = Configuration()
POPE = [Work(577, tuple([21] * 18))]


def grid(positions: str) -> list[Configuration]:
    steered = [(layer, s) for layer in (9, 14, 19, 24) for s in (1.0, 1.5, 2.0, 2.5)]
    return [NONE, *(Configuration("iar", (layer,), s, positions=positions) for layer, s in steered)]  # type: ignore[arg-type]


def test_a_block_by_hand() -> None:
    size = replace(FULL, hidden=8, inner=16)
    # 2 × (4·64 + 3·8·16) × 3 tokens, and 4·8 for each pair: 3 see 5 before them, and 1, 2 and 3 of their own
    assert flops.block(size, 3, 5) == 2 * 640 * 3 + 32 * (15 + 6)


def test_parts_of_a_prompt_cost_what_the_whole_costs() -> None:
    assert flops.block(FULL, 577, 0) + flops.block(FULL, 23, 577) == flops.block(FULL, 600, 0)


def test_one_question_without_steering_shares_nothing() -> None:
    work = [Work(577, (21,))]
    assert flops.shared(FULL, work, [NONE], 3) == pytest.approx(flops.unshared(FULL, work, [NONE], 3), rel=1e-9)


def test_how_much_can_be_shared() -> None:
    """Of 18 questions under 17 configurations, the image is 1 of 306 times computed with last; with all, 17 partly."""
    last, everywhere = (
        flops.unshared(FULL, POPE, grid(p), 1) / flops.shared(FULL, POPE, grid(p), 1) for p in ("last", "all")
    )
    assert 130 < last < 180
    assert 10 < everywhere < 25
    assert last > everywhere


def test_deeper_steering_costs_less() -> None:
    costs = [
        flops.shared(FULL, POPE, [NONE, Configuration("iar", (layer,), 1.0, positions="all")], 1)
        for layer in (0, 9, 24, 31)
    ]
    assert costs == sorted(costs, reverse=True) and costs[0] > 1.9 * costs[-1]
