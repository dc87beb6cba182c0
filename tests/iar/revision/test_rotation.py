from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from iar.errors import UserError
from iar.revision import Configuration
from iar.revision.rotation import rule
from iar.vectors import VectorSet
from iar.vectors.gates import Gates


def gated(vectors: VectorSet, **known: torch.Tensor) -> VectorSet:
    """The vectors with gates of which only this is known."""
    zero = torch.zeros_like(vectors.vectors)
    names = ("weight", "benign_mean", "response_mean", "risk", "second")
    of_layers = {name: known.get(name, zero) for name in names} | dict.fromkeys(("bias", "auroc", "rate"), zero[:, 0])
    none = {"category_weight": zero[None, :0], "category_bias": zero[None, :0, 0], "category_vectors": zero[None, :0]}
    return replace(vectors, gates=Gates(**of_layers, **none, categories=(), header={}))


@pytest.fixture(scope="module")
def known(vectors: VectorSet) -> VectorSet:
    """The second axis as it might stand in a file: neither of unit length nor orthogonal."""
    return gated(vectors, second=torch.randn(6, 32, generator=torch.Generator().manual_seed(7)) * 3)


@pytest.fixture(scope="module")
def hidden() -> torch.Tensor:
    return torch.randn(40, 32, generator=torch.Generator().manual_seed(8)) * 3


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 180.0, -45.0])
def test_formula(known: VectorSet, hidden: torch.Tensor, degrees: float) -> None:
    """Against the paper's: h - P h + |P h| (cos(t) b1 + sin(t) b2), t = 90 - strength, where h.b1 < 0."""
    made = rule(Configuration("rotation", (2,), degrees), known, 2)
    assert known.gates is not None
    b1 = known.vectors[2].double() / known.vectors[2].double().norm()
    b2 = known.gates.second[2].double() - (known.gates.second[2].double() @ b1) * b1
    b2 = b2 / b2.norm()
    t = math.radians(90 - degrees)
    plane = torch.outer(b1, b1) + torch.outer(b2, b2)
    slow = []
    for row in hidden.double():
        part = plane @ row
        turned = part.norm() * (math.cos(t) * b1 + math.sin(t) * b2) - part
        slow.append(turned if row @ b1 < 0 else torch.zeros(32, dtype=torch.float64))
    assert 10 < sum(bool(row.any()) for row in slow) < 30
    torch.testing.assert_close(made.added(hidden), torch.stack(slow).float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 275.0])
def test_length_and_the_rest_of_the_space_are_kept(known: VectorSet, hidden: torch.Tensor, degrees: float) -> None:
    made = rule(Configuration("rotation", (2,), degrees), known, 2)
    after = hidden + made.added(hidden)
    turned = hidden @ made.first < 0
    torch.testing.assert_close(after.norm(dim=1), hidden.norm(dim=1), atol=0, rtol=1e-5)
    axes = torch.stack([made.first, made.second])
    torch.testing.assert_close(axes @ axes.T, torch.eye(2), atol=1e-6, rtol=0)
    across = torch.linalg.svd(axes).Vh[2:]
    torch.testing.assert_close(after @ across.T, hidden @ across.T, atol=1e-5, rtol=1e-5)
    assert torch.equal(after[~turned], hidden[~turned])
    x, y = (after[turned] @ axes.T).double().T
    away = (torch.rad2deg(torch.atan2(x, y)) - degrees + 180) % 360 - 180
    assert len(away) > 10 and away.abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_dtypes_and_rows(known: VectorSet, hidden: torch.Tensor, dtype: torch.dtype) -> None:
    made = rule(Configuration("rotation", (2,), 60.0), known, 2)
    rows = hidden.to(dtype)
    found = made.added(rows)
    assert found.dtype == dtype
    torch.testing.assert_close(found, made.added(rows.float()).to(dtype))
    assert torch.equal(torch.cat([made.added(row[None]) for row in rows]), found)
    assert made.added(rows[:0]).shape == (0, 32)
    assert torch.equal(made.added(torch.zeros(1, 32, dtype=dtype)), torch.zeros(1, 32, dtype=dtype))


def test_errors(vectors: VectorSet, known: VectorSet) -> None:
    configuration = Configuration("rotation", (2,), 60.0)
    with pytest.raises(UserError, match=r"make them with iar\.extract gates=true$"):
        rule(configuration, vectors, 2)
    for second in (torch.zeros(6, 32), 2 * vectors.vectors):
        with pytest.raises(UserError, match="layer 2 has no second axis"):
            rule(configuration, gated(vectors, second=second), 2)
    with pytest.raises(UserError, match="layer 2 is zero"):
        rule(configuration, replace(known, vectors=torch.zeros(6, 32)), 2)
