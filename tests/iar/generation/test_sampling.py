from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from iar.errors import UserError
from iar.generation.sampling import GumbelSampling, Sampling
from iar.models import LoadedModel, chat

LOGITS = torch.tensor([1.0, 0.2, -0.5, 2.0, 0.0, -1.5, float("-inf")])
DRAWS = 20000


def draw(sampling: Sampling, step: int = 0, rows: int = DRAWS) -> list[int]:
    """One token for each of as many rows with the same logits."""
    processor = GumbelSampling(sampling, [f"row {i}" for i in range(rows)])
    for length in sorted({5, 5 + step}):  # the first call tells it the prompt's length
        scores = processor(torch.zeros(rows, length, dtype=torch.long), LOGITS.expand(rows, -1))
    return scores.argmax(-1).tolist()


@pytest.mark.parametrize(("temperature", "step"), [(1.0, 0), (0.5, 0), (2.0, 7)])
def test_frequencies_are_the_softmax(temperature: float, step: int) -> None:
    """Chi-square of 20,000 draws against softmax(logits / T): p above 1e-3, and each frequency within 0.011."""
    counts = Counter(draw(Sampling(temperature, seed=3), step))
    wanted = (LOGITS / temperature).softmax(-1)
    assert counts[6] == 0 and set(counts) == set(range(6))
    found = torch.tensor([counts[i] for i in range(6)], dtype=torch.float64)
    assert chisquare(found.numpy(), (wanted[:6].double() / wanted[:6].double().sum() * DRAWS).numpy()).pvalue > 1e-3
    assert (found / DRAWS - wanted[:6]).abs().max() < 0.011


def test_the_noise_is_philoxs_keyed_by_seed_step_and_row() -> None:
    digest = hashlib.sha256(b"3/0/row 1").digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))
    expected = LOGITS[:6] + torch.from_numpy(-np.log(generator.standard_exponential(7))).float()[:6]
    found = GumbelSampling(Sampling(seed=3), ["row 0", "row 1"])(torch.zeros(2, 5), LOGITS.expand(2, -1))
    assert torch.equal(found[1, :6], expected)


def test_steps_and_seeds_and_keys_draw_independently() -> None:
    first = torch.tensor(draw(Sampling(seed=0)))
    agreement = float((LOGITS.softmax(-1) ** 2).sum())  # of two independent draws
    for other in (draw(Sampling(seed=0), 1), draw(Sampling(seed=1)), [*first.tolist()[1:], 0]):
        assert float((first == torch.tensor(other)).float().mean()) == pytest.approx(agreement, abs=0.015)
    assert first.tolist()[:2000] == draw(Sampling(seed=0), rows=2000)


def test_top_p_keeps_the_smallest_set_and_its_proportions() -> None:
    """softmax(logits) is .56 (token 3), .21 (0), .09 (1), .08, .05, .02: .56 + .21 < .8, so three tokens stay."""
    for top_p, kept in ((0.8, {3, 0, 1}), (0.7, {3, 0}), (0.5, {3}), (1e-9, {3})):
        assert set(draw(Sampling(top_p=top_p), rows=2000)) == kept
    counts = Counter(draw(Sampling(top_p=0.8)))
    wanted = LOGITS.softmax(-1)[[3, 0, 1]]
    assert chisquare([counts[i] for i in (3, 0, 1)], (wanted.double() / wanted.double().sum() * DRAWS)).pvalue > 1e-3


def test_a_row_draws_the_same_alone_in_a_batch_and_in_another_order(tiny: LoadedModel, images: list[Path]) -> None:
    asked = [("Is there a spoon?", 0), ("How do I use this knife in the image?", None), ("hello", 2), ("hello", None)]
    asked += [("hello", None)]  # the same question, another key

    def answers(order: list[int], seed: int = 0) -> dict[int, list[int]]:
        opened = [[] if asked[i][1] is None else [chat.open_image(images[asked[i][1]])] for i in order]
        inputs, _ = chat.encode(tiny, [asked[i][0] for i in order], opened)
        sampling = GumbelSampling(Sampling(1.5, 0.95, seed), [f"key {i}" for i in order])
        # No end token, so that all rows run as long: an end would pad the shorter ones.
        settings = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "logits_processor": [sampling]}
        ids = tiny.model.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :]
        return dict(zip(order, ids.tolist(), strict=True))

    together = answers([0, 1, 2, 3, 4])
    assert answers([4, 2, 0, 3, 1]) == together
    for i in range(5):
        assert answers([i])[i] == together[i]
    assert together[3] != together[4]
    assert answers([3], seed=1)[3] != together[3]
    plain, _ = chat.encode(tiny, ["hello"], [[]])
    greedy = tiny.model.generate(**plain, max_new_tokens=8, do_sample=False)[0, plain["input_ids"].shape[1] :].tolist()
    assert greedy not in together.values()


def test_global_randomness_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.rand(3)
    torch.manual_seed(0)
    GumbelSampling(Sampling(), ["a"])(torch.zeros(1, 1, dtype=torch.long), LOGITS[None])
    assert torch.equal(torch.rand(3), before)


def test_bad_settings() -> None:
    for temperature in (0, -1, float("nan"), float("inf"), "hot", True):
        with pytest.raises(UserError, match="temperature="):
            Sampling(temperature)
    for top_p in (0, 1.1, float("nan"), None):
        with pytest.raises(UserError, match="top_p="):
            Sampling(top_p=top_p)
    with pytest.raises(UserError, match=r"seed=0\.5 is not a number"):
        Sampling(seed=0.5)  # type: ignore[arg-type]
    for rows, keys in itertools.permutations((1, 2)):
        with pytest.raises(ValueError, match="needs one key a row"):
            GumbelSampling(Sampling(), ["k"] * keys)(torch.zeros(rows, 1, dtype=torch.long), LOGITS.expand(rows, -1))
