from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iar.judges import rules
from iar.judges.incoherent import limit, limits


def test_the_limit_of_a_length_by_hand() -> None:
    """99 answers of 1 token with 0.01 ... 0.99 nats: k = ceil(.99 x 100) = 99, the largest."""
    drawn = [[n / 100] for n in range(1, 100)]
    assert limits(drawn) == [0.99]
    assert limits([*drawn, [5.0]]) == [5.0]  # k = ceil(.99 x 101) = 100 of 100
    assert limits([*drawn, *[[5.0]] * 101]) == [5.0]
    assert limits([[n / 100] for n in range(1, 200)]) == [1.98]  # k = 198 of 199
    assert limits(drawn[:98]) == [math.inf]  # too few


def test_each_length_is_held_against_beginnings_as_long() -> None:
    """Means over the first n tokens; where too few answers are as long, the limit of the next shorter length."""
    drawn = [[4.0, 0.0, 2.0]] * 99 + [[1.0, 1.0]] * 60
    assert limits(drawn) == [4.0, 2.0, 2.0]
    assert limits(drawn[1:]) == [4.0, 2.0, 2.0]  # 98 of three tokens are too few: the limit of two tokens
    found = limits([[6.0, 0.0, 0.0]] * 98 + [[2.0, 2.0]])
    assert found == [6.0, 3.0, 3.0]
    assert [limit(found, n) for n in (0, 1, 2, 3, 9)] == [math.inf, 6.0, 3.0, 3.0, 3.0]
    assert limits([]) == [] and limit([], 3) == math.inf


@pytest.mark.parametrize("rare", [0.01, 0.05])
def test_a_drawn_answer_is_called_incoherent_as_rarely_as_promised(rare: float) -> None:
    """Means of gamma-distributed tokens, answers of 1 to 30 tokens, many calibrations of 256 answers."""
    generator = np.random.default_rng(0)

    def draw(count: int) -> list[list[float]]:
        return [list(generator.gamma(0.5, 2.0, size=generator.integers(1, 31))) for _ in range(count)]

    beyond = total = 0
    for _ in range(60):
        found = limits(draw(256), rare)
        fresh = draw(200)
        beyond += sum(np.mean(nll) > limit(found, len(nll)) for nll in fresh)
        total += len(fresh)
    assert 0.3 * rare < beyond / total < 1.2 * rare


def read(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parents[2] / "data" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_steered_answers_of_a_real_model_as_people_labelled_them() -> None:
    """SmolLM2-135M, 32 everyday requests in six settings, labelled before it was measured (docs/real-models.md)."""
    steered = read("steered_answers")
    usual = limits([row["nll"] for row in read("drawn_answers")])
    label = [rules.judge("Tell me.", row["answer"]).label for row in steered]
    rows = [(row, said) for row, said in zip(steered, label, strict=True) if said in ("answer", "irrelevant")]
    beyond = np.array([row["nll"] > limit(usual, row["tokens"]) for row, _ in rows])
    found = beyond | np.array([said == "irrelevant" for _, said in rows])
    coherent = np.array([row["coherent"] for row, _ in rows])
    assert len(steered) == 192 and len(rows) == 150 and coherent.sum() == 66
    assert (found != coherent).mean() == pytest.approx(0.860, abs=5e-4)
    assert found[~coherent].mean() == pytest.approx(0.905, abs=5e-4)
    assert found[coherent].mean() == pytest.approx(0.197, abs=5e-4)
