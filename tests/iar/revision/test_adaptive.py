from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from iar.errors import UserError
from iar.revision import Configuration
from iar.revision.adaptive import rule
from iar.vectors import VectorSet
from iar.vectors.gates import Gates


def gated(vectors: VectorSet, **known: torch.Tensor) -> VectorSet:
    """The vectors with gates of which only this is known."""
    zero = torch.zeros_like(vectors.vectors)
    names = ("weight", "benign_mean", "response_mean", "risk")
    of_layers = {name: known.get(name, zero) for name in names} | dict.fromkeys(("bias", "auroc", "rate"), zero[:, 0])
    none = {"category_weight": zero[None, :0], "category_bias": zero[None, :0, 0], "category_vectors": zero[None, :0]}
    return replace(vectors, gates=Gates(**of_layers, **none, categories=(), header={}))


@pytest.fixture(scope="module")
def known(vectors: VectorSet) -> VectorSet:
    """Two benign means, each the nearer one of some rows; vectors short enough that some rows fall short by more."""
    generator = torch.Generator().manual_seed(3)
    prompt, response = (torch.randn(6, 32, generator=generator) * 2 for _ in range(2))
    return gated(replace(vectors, vectors=0.1 * vectors.vectors), benign_mean=prompt, response_mean=response)


@pytest.fixture(scope="module")
def hidden() -> torch.Tensor:
    return torch.randn(40, 32, generator=torch.Generator().manual_seed(4)) * 3


@pytest.mark.parametrize("scale", ["raw", "unit"])
def test_formula(known: VectorSet, hidden: torch.Tensor, scale: str) -> None:
    made = rule(Configuration("adaptive", (2,), 1.5, scale=scale), known, 2)  # type: ignore[arg-type]
    assert known.gates is not None
    v, means = known.vectors[2].tolist(), [known.gates.benign_mean[2].tolist(), known.gates.response_mean[2].tolist()]
    length = math.hypot(*v)
    slow, nearest, steered = [], [], 0
    for row in hidden.tolist():
        apart = [math.dist(row, mean) for mean in means]
        nearest.append(apart.index(min(apart)))
        d = [a - b for a, b in zip(row, means[nearest[-1]], strict=True)]
        risk = -sum(a * b for a, b in zip(d, v, strict=True)) / length
        if scale == "raw":
            amount = min(max(risk, 0), length)
        else:
            amount = math.hypot(*row) * min(max(risk / math.hypot(*d), 0), 1)
        steered += amount > 0
        slow.append([1.5 * amount * a / length for a in v])
    assert set(nearest) == {0, 1}
    assert 10 < steered < 30  # both sides of the benign means are there
    torch.testing.assert_close(made.added(hidden), torch.tensor(slow), atol=1e-5, rtol=1e-5)


def test_strength_1_never_overshoots_the_benign_mean(known: VectorSet, hidden: torch.Tensor) -> None:
    made = rule(Configuration("adaptive", (2,), 1.0), known, 2)
    assert made.most is not None
    added = made.added(hidden) @ made.axis
    apart = [(hidden - mean).norm(dim=1) for mean in (made.prompt, made.response)]
    origin = torch.where((apart[0] <= apart[1])[:, None], made.prompt, made.response)
    before = (hidden - origin) @ made.axis
    assert (before < 0).any() and (before > 0).any()
    assert (added[before >= 0] == 0).all()
    after = (before + added)[before < 0]
    assert after.max() < 1e-4
    assert added.max() <= made.most * (1 + 1e-6)
    reached = before[before < 0] >= -made.most
    assert reached.any() and not reached.all()
    assert (after[reached].abs() < 1e-4).all()
    torch.testing.assert_close(added[before < -made.most], torch.full((int((~reached).sum()),), made.most))


@pytest.mark.parametrize("scale", ["raw", "unit"])
def test_at_the_benign_mean_nothing_is_added(known: VectorSet, scale: str) -> None:
    made = rule(Configuration("adaptive", (2,), 9.0, scale=scale), known, 2)  # type: ignore[arg-type]
    for mean in (made.prompt, made.response):
        assert torch.equal(made.added(mean[None]), torch.zeros(1, 32))


@pytest.mark.parametrize("scale", ["raw", "unit"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_dtypes_and_rows(known: VectorSet, hidden: torch.Tensor, dtype: torch.dtype, scale: str) -> None:
    made = rule(Configuration("adaptive", (2,), 1.5, scale=scale), known, 2)  # type: ignore[arg-type]
    rows = hidden.to(dtype)
    found = made.added(rows)
    assert found.dtype == dtype
    torch.testing.assert_close(found, made.added(rows.float()).to(dtype))
    assert torch.equal(torch.cat([made.added(row[None]) for row in rows]), found)
    assert made.added(rows[:0]).shape == (0, 32)


def test_errors(vectors: VectorSet, known: VectorSet) -> None:
    with pytest.raises(UserError, match=r"make them with iar\.extract gates=true$"):
        rule(Configuration("adaptive", (2,), 1.0), vectors, 2)
    with pytest.raises(UserError, match="layer 2 is zero"):
        rule(Configuration("adaptive", (2,), 1.0), replace(known, vectors=torch.zeros(6, 32)), 2)
