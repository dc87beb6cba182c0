"""The largest strength within a budget, and the divergence against two plain forward passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from iar.errors import UserError
from iar.generation.divergence import Answered, answered, divergence, kl, strongest
from iar.models import chat
from iar.prompting import Turn
from iar.revision import Configuration, Revision, directions
from iar.revision.gate import Gate
from tests.iar.revision import conftest as revisions

random_vectors, vectors, vector = revisions.random_vectors, revisions.vectors, revisions.vector
TEXTS = ["Is there a spoon?", "hello", "How do I use this knife?"]


def test_the_crossing_is_found_from_below():
    asked: list[float] = []

    def square(strength: float) -> float:
        asked.append(strength)
        return strength**2

    found = strongest(square, budget=0.5, most=2.0, tolerance=0.001)
    assert 0 <= math.sqrt(0.5) - found < 0.002 and square(found) <= 0.5
    assert len(set(asked[:-1])) == len(asked) - 1 and max(asked) == 0.75  # nothing far beyond the budget is tried


def test_where_the_budget_does_not_bind_and_where_nothing_keeps_to_it():
    assert strongest(lambda strength: 0.01 * strength, budget=0.05, most=2.5) == 2.5
    assert strongest(lambda strength: 1.0, budget=0.05, most=2.5) == 0.0
    assert strongest(lambda strength: math.nan, budget=0.05, most=2.5) == 0.0
    assert strongest(abs, budget=1.0, most=-2.0, tolerance=0.001) == pytest.approx(-1.0, abs=0.002)


def test_behind_the_first_crossing_nothing_is_taken():
    """sin has a valley: at strength 3 the divergence is small again."""
    found = strongest(lambda strength: abs(math.sin(strength)), budget=0.5, most=3.2, tolerance=0.001)
    assert found == pytest.approx(math.asin(0.5), abs=0.004) and found <= math.asin(0.5)


@pytest.mark.parametrize("seed", range(4))
def test_a_larger_budget_never_gives_less_and_each_is_kept(seed):
    generator = torch.Generator().manual_seed(seed)
    bumps = torch.rand(4, generator=generator).tolist()

    def wild(strength: float) -> float:
        return abs(sum(b * math.sin((i + 1) * 2 * strength) for i, b in enumerate(bumps))) + 0.1 * strength

    budgets = [0.02 * 1.3**i for i in range(16)]
    found = [strongest(wild, budget, most=3.0) for budget in budgets]
    assert all(small <= large for small, large in pairwise(found)) and found[0] < found[-1]
    assert all(wild(strength) <= budget for strength, budget in zip(found, budgets, strict=True) if strength)


@pytest.mark.parametrize("budget", [0, -0.1, math.nan, math.inf, True])
def test_no_budget(budget):
    with pytest.raises(UserError, match=f"kl={budget} must be a number of nats above 0"):
        strongest(abs, budget, 1.0)


def test_kl_by_hand():
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.5, 0.25])
    assert float(kl(p.log(), q.log())) == pytest.approx(0.5 * math.log(2))
    assert float(kl(q.log(), p.log())) == math.inf and float(kl(q.log(), q.log())) == 0


@pytest.fixture(scope="module")
def prompts(tiny: Any, images: list[Path]) -> list[dict[str, torch.Tensor]]:
    """Three questions, the last with an image."""
    rows = []
    for text, shown in zip(TEXTS, ((), (), (images[0],)), strict=True):
        prompt = chat.converse(tiny, (Turn("user", text, shown),))
        rows.append(chat.encode_rendered(tiny, prompt, [chat.open_image(path) for path in shown]))
    return rows


def plain(tiny: Any, prompts: list[dict[str, torch.Tensor]], positions: str, add: Callable[[Any], Any]) -> float:
    """The definition: each prompt by itself, greedy without a cache, then one pass over it and one with a hook."""
    means = []
    for row in prompts:
        inputs, length = dict(row), row["input_ids"].shape[1]
        ids: list[int] = []
        while len(ids) < 8 and 2 not in ids:
            with torch.no_grad():
                ids.append(int(tiny.model(**inputs, use_cache=False).logits[0, -1].argmax()))
            inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([ids[-1:]])], 1)
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        first, end = revisions.span(positions, length)
        with torch.no_grad():
            log_p = tiny.model(**inputs, use_cache=False).logits[0, length - 1 : -1].log_softmax(-1)

        def hook(module: Any, args: Any, output: torch.Tensor, first: int = first, end: int | None = end) -> Any:
            steered = output.clone()
            steered[:, first:end] = add(steered[:, first:end])
            return steered

        handle = tiny.decoder.layers[2].register_forward_hook(hook)
        with torch.no_grad():
            log_q = tiny.model(**inputs, use_cache=False).logits[0, length - 1 : -1].log_softmax(-1)
        handle.remove()
        assert len(log_p) == len(ids)
        means.append(float((log_p.exp() * (log_p - log_q)).sum(-1).mean()))
    return sum(means) / len(means)


@pytest.mark.parametrize("positions", ["last", "generated", "prompt", "all"])
def test_the_divergence_is_that_of_two_plain_passes(tiny, prompts, vector, positions):
    found = divergence(tiny, Revision({2: vector}), positions, answered(tiny, prompts))
    assert found == pytest.approx(plain(tiny, prompts, positions, lambda hidden: hidden + vector), abs=1e-5)
    assert found > 0.01


def test_batches_do_not_matter_and_nothing_added_is_nothing(tiny, prompts, vector):
    alone, together = answered(tiny, prompts, batch_size=1), answered(tiny, prompts)
    assert [len(batch.tokens) for batch in alone] == [1, 1, 1]
    assert sorted(len(batch.tokens) for batch in together) == [1, 2]  # with an image, and without
    one, other = (divergence(tiny, Revision({2: vector}), "last", batches) for batches in (alone, together))
    assert one == pytest.approx(other, abs=1e-6)
    assert divergence(tiny, Revision(), "last", together) == pytest.approx(0, abs=1e-9)


def test_only_the_answer_counts_not_what_comes_behind_its_end(tiny, prompts, vector):
    (batch,) = answered(tiny, prompts[:1])
    assert batch.tokens.shape == batch.counts.shape == (1, 8) and batch.counts.all()
    cut = batch.counts.clone()
    cut[:, 3:] = False
    short = Answered(batch.inputs, batch.tokens, cut, batch.log_probabilities)
    (three,) = answered(tiny, prompts[:1], tokens=3)
    found = [divergence(tiny, Revision({2: vector}), "last", [answer]) for answer in (short, three)]
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_an_answer_ends_with_its_end_token(tiny, prompts):
    (batch,) = answered(tiny, prompts[:1])
    end = int(batch.tokens[0, 2])  # as if the third token ended the answer
    before = tiny.model.generation_config.eos_token_id
    tiny.model.generation_config.eos_token_id = [end]
    try:
        ended = answered(tiny, prompts[:2])
    finally:
        tiny.model.generation_config.eos_token_id = before
    counted = [row.sum() for answer in ended for row in answer.counts]
    first = batch.tokens[0].tolist().index(end) + 1
    assert first in [int(count) for count in counted] and first <= 3


def test_a_gate_that_stays_shut_costs_nothing_and_an_open_one_all(tiny, prompts, vector):
    own = answered(tiny, prompts)
    shut, opened = (Gate(1, torch.zeros(1, 32), torch.tensor([bias])) for bias in (-5.0, 5.0))
    free, gated, always = (
        divergence(tiny, Revision({2: vector}, gate=gate), "last", own) for gate in (shut, opened, None)
    )
    assert free == pytest.approx(0, abs=1e-9) and gated == pytest.approx(always, abs=1e-6) and always > 0.01


def test_a_strength_on_a_model(tiny, prompts, vectors):
    own = answered(tiny, prompts)

    @cache
    def kl_of(strength: float) -> float:
        return divergence(tiny, directions(Configuration("iar", (2,), strength), vectors), "last", own)

    assert kl_of(2.0) > 0.05
    budgets = [0.001, 0.01, 0.05]
    found = [strongest(kl_of, budget, most=2.0) for budget in budgets]
    assert 0 < found[0] < found[1] < found[2] < 2
    for strength, budget in zip(found, budgets, strict=True):
        assert kl_of(strength) <= budget < kl_of(strength + 0.021)
