from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from iar.errors import UserError
from iar.revision.axis import along, axis
from iar.vectors import VectorSet


def test_direction_and_length(vectors: VectorSet) -> None:
    unit, length = axis(vectors, 3)
    assert unit.norm() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(unit * length, vectors.vectors[3])


def test_of_a_zero_vector(vectors: VectorSet) -> None:
    with pytest.raises(UserError, match="layer 3 is zero and has no direction"):
        axis(replace(vectors, vectors=torch.zeros_like(vectors.vectors)), 3)


def test_along_is_a_dot_product_of_each_row_alone() -> None:
    rows, direction = torch.randn(8, 64, generator=torch.Generator().manual_seed(0)).split([7, 1])
    found = along(rows, direction[0])
    torch.testing.assert_close(found[:, 0], rows @ direction[0])
    assert torch.equal(torch.cat([along(row[None], direction[0]) for row in rows]), found)
