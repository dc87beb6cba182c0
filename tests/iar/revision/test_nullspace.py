from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from iar.errors import UserError
from iar.revision import Configuration
from iar.revision.nullspace import ENERGY, benign_span, coefficients, rule
from iar.vectors import VectorSet
from iar.vectors.gates import Gates


def gated(vectors: VectorSet, **known: torch.Tensor) -> VectorSet:
    """The vectors with gates of which only this is known."""
    zero = torch.zeros_like(vectors.vectors)
    names = ("weight", "benign_mean", "response_mean", "risk", "second")
    of_layers = {name: known.get(name, zero) for name in names} | dict.fromkeys(("bias", "auroc", "rate"), zero[:, 0])
    none = {"category_weight": zero[None, :0], "category_bias": zero[None, :0, 0], "category_vectors": zero[None, :0]}
    return replace(vectors, gates=Gates(**of_layers, **none, categories=(), header={}))


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


@pytest.mark.parametrize(("scale", "factor"), [("raw", None), ("unit", 1.0), ("sigma", 2.5), ("norm", 6.0)])
def test_formula(vectors: VectorSet, scale: str, factor: float | None) -> None:
    a = torch.randn(6, 32, generator=torch.Generator().manual_seed(5))
    made = rule(Configuration("nullspace", (2,), 1.5, scale=scale), gated(vectors, risk=a), 2)  # type: ignore[arg-type]
    hidden = torch.randn(5, 32, generator=torch.Generator().manual_seed(6))
    v = vectors.vectors[2]
    if factor is not None:
        v = factor * v / v.norm()
    slow = []
    for row in hidden.tolist():
        found = sum(x * y for x, y in zip(row, a[2].tolist(), strict=True))
        slow.append([1.5 * found * x for x in v.tolist()])
    torch.testing.assert_close(made.added(hidden), torch.tensor(slow), atol=1e-4, rtol=1e-5)
    for dtype in (torch.bfloat16, torch.float16):
        rows = hidden.to(dtype)
        assert torch.equal(made.added(rows), made.added(rows.float()).to(dtype))
    assert made.added(hidden[:0]).shape == (0, 32)


def test_errors(vectors: VectorSet) -> None:
    configuration = Configuration("nullspace", (2,), 1.0)
    with pytest.raises(UserError, match=r"make them with iar\.extract gates=true$"):
        rule(configuration, vectors, 2)
    with pytest.raises(UserError, match="fill all directions of layer 2"):
        rule(configuration, gated(vectors), 2)
    known = gated(replace(vectors, vectors=torch.zeros(6, 32)), risk=torch.ones(6, 32))
    with pytest.raises(UserError, match="layer 2 is zero"):
        rule(configuration, known, 2)
