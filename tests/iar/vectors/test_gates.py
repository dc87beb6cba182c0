from __future__ import annotations

from typing import Any

import pytest
import torch

from iar.vectors import Gates


def gates(**known: Any) -> Gates:
    """Two layers of width three, one category, two unsafe and three benign prompts."""
    generator = torch.Generator().manual_seed(0)
    tensors = {n: torch.randn(2, 3, generator=generator) for n in ("weight", "benign_mean", "response_mean", "risk")}
    tensors |= {n: torch.rand(2, generator=generator) for n in ("bias", "auroc", "rate")}
    tensors |= {n: torch.randn(1, 2, 3, generator=generator) for n in ("category_weight", "category_vectors")}
    tensors |= {
        "category_bias": torch.zeros(1, 2),
        "scores": torch.tensor([[0.9, 0.6, 0.1, 0.2, 0.7], [1, 1, 0, 0, 0.0]]),
    }
    header = {"gate_unsafe": "2", "gate_benign": "3", "gate_categories": '["drugs"]'}
    return Gates(**tensors | {"categories": ("drugs",), "header": header} | known)


def test_rates_at_any_threshold():
    found = gates()
    assert [found.rate_at(0, t) for t in (0.5, 0.65, 0.95)] == pytest.approx([0.6, 0.4, 0.0])
    unsafe, benign = found.rates(0.65)
    assert unsafe.tolist() == [0.5, 1.0] and benign.tolist() == pytest.approx([1 / 3, 0])


def test_without_scores_the_rate_is_what_is_known():
    found = gates(scores=torch.empty(0, 0), rate=torch.tensor([0.25, 0.5]))
    assert found.rate_at(1, 0.9) == 0.5
    assert all(rate.isnan().all() for rate in found.rates())
