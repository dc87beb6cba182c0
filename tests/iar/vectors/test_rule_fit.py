"""What null-space steering needs, against its definition."""

from __future__ import annotations

import pytest
import torch

from iar.vectors.rule_fit import ENERGY, benign_span, coefficients


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MEAN, MIX = draw(0, 48) * 5, draw(1, 10, 48)
RISK = draw(2, 48)


def benign(seed: int, n: int, noise: float = 0.0) -> torch.Tensor:
    """Activations about a common mean in a plane of ten directions, and a little outside it."""
    return MEAN + draw(seed, n, 10) @ MIX + noise * draw(seed + 1, n, 48)


def unsafe(seed: int, n: int) -> torch.Tensor:
    """The same, moved by one direction and spread a little."""
    return benign(seed, n, 0.1) + RISK


def test_closed_form_is_the_ridge_minimum() -> None:
    """Against the definition: (P S P + alpha I)^-1 P m with P, S and m in full; and against its own loss."""
    rows, others, ridge = unsafe(10, 30), benign(20, 40), 0.05
    span = benign_span([others], 1.0)
    assert len(span) == 11
    p = torch.eye(48, dtype=torch.float64) - span.T @ span
    s, m = rows.T @ rows / 30, rows.mean(0)
    alpha = ridge * (p @ s @ p).trace() / 30
    slow = torch.linalg.inv(p @ s @ p + alpha * torch.eye(48, dtype=torch.float64)) @ p @ m
    found = coefficients(rows, others, energy=1.0, ridge=ridge).double()
    torch.testing.assert_close(found, slow, atol=1e-6, rtol=1e-5)

    def loss(a: torch.Tensor) -> float:
        return float((rows @ a - 1).square().mean() + alpha * a.square().sum())

    for seed in range(20):
        assert loss(slow) < loss(slow + 0.01 * p @ draw(seed, 48))


def test_benign_activations_feel_nothing_and_unsafe_ones_all() -> None:
    others, answers = benign(30, 40), benign(40, 25) * 0.5 + 2
    a = coefficients(unsafe(50, 60), others, answers, energy=1.0).double()
    for rows in (others, answers, benign(60, 100)):  # the last are others of the same span
        assert ((rows @ a) / (rows.norm(dim=1) * a.norm())).abs().max() < 1e-6
    for rows in (unsafe(50, 60), unsafe(70, 100)):
        assert (rows @ a).mean() == pytest.approx(1, abs=0.05)
        assert (rows @ a).std() < 0.2


def test_held_out_benign_activations_with_noise() -> None:
    """Noise fills every direction: the span leaves it out, and what it adds to benign rows is small against v."""
    others = benign(80, 200, 0.1)
    span = benign_span([others], ENERGY)
    assert 5 < len(span) <= 11
    a = coefficients(unsafe(90, 60), others).double()
    assert (benign(100, 200, 0.1) @ a).abs().mean() < 0.1
    assert (unsafe(110, 100) @ a).mean() == pytest.approx(1, abs=0.1)


def test_span() -> None:
    sets = [benign(120, 30), benign(130, 20) * 0.1 + 1]
    span = benign_span(sets, 0.9)
    torch.testing.assert_close(span @ span.T, torch.eye(len(span), dtype=torch.float64), atol=1e-10, rtol=0)
    for rows in sets:
        assert (rows.mean(0) - rows.mean(0) @ span.T @ span).norm() < 1e-10
    spread = torch.cat([(rows - rows.mean(0)) / len(rows) ** 0.5 for rows in sets])
    spread = spread - spread @ span[:2].T @ span[:2]  # the two means come first
    carried = [float((spread @ span[:k].T).square().sum() / spread.square().sum()) for k in (len(span) - 1, len(span))]
    assert carried[0] < 0.9 <= carried[1]
    assert len(benign_span([MEAN.expand(5, 48)], 1.0)) == 1


def test_nothing_left() -> None:
    assert not coefficients(unsafe(140, 20), draw(150, 80, 48), energy=1.0).any()
    assert not coefficients(benign(160, 20), benign(170, 40), energy=1.0).any()
    assert not coefficients(torch.zeros(3, 48), benign(170, 40)).any()
    with pytest.raises(ValueError, match="energy 0"):
        coefficients(unsafe(140, 20), benign(150, 20), energy=0)
