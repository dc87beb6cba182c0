from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.intervals import wilson
from iar.stats.corrected import Corrected, Quality, effective, mean, rogan_gladen

PERFECT = Quality(1000, 1000, 1000, 1000)


def test_a_known_judge_is_taken_out_exactly():
    """80 % of what people count and 10 % of the rest: a share of 45 % is one of 50 %."""
    found = rogan_gladen(0.45, 10_000, Quality(8000, 10_000, 9000, 10_000))
    assert found.value == pytest.approx(0.5) and found.low == pytest.approx(0.484, abs=0.002)
    assert rogan_gladen(0.3, 200, PERFECT).value == pytest.approx(0.3)
    assert rogan_gladen(0.05, 200, Quality(8, 10, 9, 10)).value == 0.0  # fewer than it errs on alone


def test_what_labels_cannot_tell():
    for quality in (Quality(0, 0, 9, 10), Quality(9, 10, 0, 0), Quality(5, 10, 5, 10), Quality(1, 10, 2, 10)):
        assert math.isnan(rogan_gladen(0.5, 100, quality).value)
    assert math.isnan(rogan_gladen(math.nan, 100, PERFECT).low)


def test_fewer_labels_and_clustered_answers_widen():
    def width(found: Corrected) -> float:
        return found.high - found.low

    many, few = (rogan_gladen(0.5, 300, Quality(9 * k, 10 * k, 9 * k, 10 * k)) for k in (20, 2))
    assert width(few) > 1.5 * width(many) and few.value == many.value
    assert effective(*wilson(0.5, 100), 100) == pytest.approx(100, abs=4)
    assert effective(0.3, 0.7, 100) == pytest.approx(24, abs=0.1) and effective(0.5, 0.5, 7) == 7


def test_the_mean_of_two():
    found = mean(Corrected(0.4, 0.3, 0.6), Corrected(0.8, 0.4, 0.95))
    assert (found.value, found.low) == (pytest.approx(0.6), pytest.approx(0.6 - math.hypot(0.1, 0.4) / 2))
    assert found.high == pytest.approx(0.6 + math.hypot(0.2, 0.15) / 2)


@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize("labels", [40, 150])
@pytest.mark.parametrize(("se", "sp"), [(0.95, 0.95), (0.85, 0.97), (0.99, 0.85), (0.8, 0.8)])
def test_the_interval_covers_the_truth(n, labels, se, sp):
    """Simulated: 500 runs with labelled answers of their own for each truth; at least 92 % of the intervals hold it."""
    random = np.random.default_rng(0)
    for truth in (0.02, 0.1, 0.3, 0.5, 0.8, 0.95):
        held = 0
        for _ in range(500):
            counted = random.binomial(n, truth * se + (1 - truth) * (1 - sp))
            positives = int(np.clip(random.binomial(labels, 0.5), 1, labels - 1))
            negatives = labels - positives
            quality = Quality(random.binomial(positives, se), positives, random.binomial(negatives, sp), negatives)
            found = rogan_gladen(counted / n, n, quality)
            held += math.isnan(found.value) or found.low <= truth <= found.high
        assert held >= 0.92 * 500, (truth, held)
