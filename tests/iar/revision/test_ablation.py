from __future__ import annotations

import pytest
import torch

from iar.revision import Configuration
from iar.revision.ablation import Ablation, rule
from iar.vectors import VectorSet


@pytest.fixture(scope="module")
def hidden() -> torch.Tensor:
    return torch.randn(5, 32, generator=torch.Generator().manual_seed(2)) * 10


@pytest.mark.parametrize("strength", [1.0, 0.3, -2.0])
def test_formula(vectors: VectorSet, hidden: torch.Tensor, strength: float) -> None:
    made = rule(Configuration("ablation", (2,), strength), vectors, 2)
    r = (vectors.vectors[2] / vectors.vectors[2].norm()).tolist()
    slow = []
    for row in hidden.tolist():
        component = sum(a * b for a, b in zip(r, row, strict=True))
        slow.append([-strength * component * a for a in r])
    torch.testing.assert_close(made.added(hidden), torch.tensor(slow))


def test_strength_1_removes_the_component_and_nothing_else(vectors: VectorSet, hidden: torch.Tensor) -> None:
    made = rule(Configuration("ablation", (2,), 1.0, positions="all"), vectors, 2)
    after = hidden + made.added(hidden)
    assert (after @ made.axis).abs().max() < 1e-5
    assert (hidden @ made.axis).abs().max() > 1
    across = torch.linalg.svd(made.axis[None]).Vh[1:]  # the other 31 directions
    torch.testing.assert_close(after @ across.T, hidden @ across.T, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_dtypes_and_no_rows(vectors: VectorSet, hidden: torch.Tensor, dtype: torch.dtype) -> None:
    made = rule(Configuration("ablation", (2,), 1.0), vectors, 2)
    rows = hidden.to(dtype)
    found = made.added(rows)
    assert found.dtype == dtype
    torch.testing.assert_close(found, made.added(rows.float()).to(dtype))
    assert torch.equal(torch.cat([made.added(row[None]) for row in rows]), found)
    assert made.added(rows[:0]).shape == (0, 32)


def test_has_no_unit(vectors: VectorSet) -> None:
    assert isinstance(rule(Configuration("ablation", (2,), 1.0), vectors, 2), Ablation)
