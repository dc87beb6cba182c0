from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from iar.errors import UserError
from iar.revision import Configuration
from iar.revision.nullspace import rule
from iar.vectors import VectorSet
from iar.vectors.gates import Gates


def gated(vectors: VectorSet, **known: torch.Tensor) -> VectorSet:
    """The vectors with gates of which only this is known."""
    zero = torch.zeros_like(vectors.vectors)
    names = ("weight", "benign_mean", "response_mean", "risk")
    of_layers = {name: known.get(name, zero) for name in names} | dict.fromkeys(("bias", "auroc", "rate"), zero[:, 0])
    none = {"category_weight": zero[None, :0], "category_bias": zero[None, :0, 0], "category_vectors": zero[None, :0]}
    return replace(vectors, gates=Gates(**of_layers, **none, categories=(), header={}))


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
