from __future__ import annotations

import pytest

from benchmark.speed import cost


def test_prefill_by_hand():
    """17 x (1800 x 636 + 1800 x 576 + 2250 x 80 + 5127 x 626 + 2017 x 576 + 4241 x 150) tokens, 2 x 7e9 each."""
    tokens = 17 * (1800 * 636 + 1800 * 576 + 2250 * 80 + 5127 * 626 + 2017 * 576 + 4241 * 150)
    assert cost.seconds(cost.MODELS[0], shared=False)[0] == pytest.approx(2 * 7e9 * tokens / (989e12 * 0.4))
    images, text = 576 * (1800 + 1800 + 500 + 2017), 1800 * 77 + 2250 * 97 + 5127 * 67 + 4241 * 167
    assert cost.seconds(cost.MODELS[0], shared=True)[0] == pytest.approx(2 * 7e9 * (images + text) / (989e12 * 0.4))


def test_a_model_of_four_gpus_does_not_fit_on_one():
    lines = cost.table().splitlines()
    assert len(lines) == 2 + 4 and lines[4].startswith("| 72B | plain") and lines[4].count("–") == 1
    assert [line.count(" h |") for line in lines[2:]] == [3, 3, 2, 2]
