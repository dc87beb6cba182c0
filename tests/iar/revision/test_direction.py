from __future__ import annotations

import pytest
import torch

from iar.errors import UserError
from iar.revision import Configuration, directions
from iar.vectors import VectorSet


@pytest.fixture
def vectors() -> VectorSet:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(6, 32, generator=generator) * 3
    values[5] = 0
    return VectorSet(values, torch.ones(6), torch.arange(6) + 0.5, torch.ones(6))


def test_scales(vectors: VectorSet) -> None:
    vector, length = vectors.vectors[2], vectors.vectors[2].norm()

    def at(**settings: object) -> torch.Tensor:
        added = directions(Configuration("iar", (2,), 1.5, **settings), vectors)  # type: ignore[arg-type]
        assert list(added) == [2]
        return added[2]

    assert torch.equal(at(), 1.5 * vector)
    assert torch.allclose(at(scale="unit"), 1.5 * vector / length)
    assert torch.allclose(at(scale="sigma"), 1.5 * 2.5 * vector / length)


def test_none_and_several_layers(vectors: VectorSet) -> None:
    assert directions(Configuration(), None) == {}
    added = directions(Configuration("iar", (1, 4), 2.0), vectors)
    assert torch.equal(added[4], 2 * vectors.vectors[4])
    assert list(added) == [1, 4]


@pytest.mark.parametrize("scale", ["raw", "unit", "sigma"])
def test_random_differs_in_direction_only(vectors: VectorSet, scale: str) -> None:
    real = directions(Configuration("iar", (1, 2), 1.5, scale=scale), vectors)  # type: ignore[arg-type]
    seeds = [
        directions(Configuration("random", (1, 2), 1.5, scale=scale, seed=seed), vectors)  # type: ignore[arg-type]
        for seed in (0, 0, 1)
    ]
    for layer in (1, 2):
        assert seeds[0][layer].norm().item() == pytest.approx(real[layer].norm().item(), rel=1e-5)
        assert torch.equal(seeds[0][layer], seeds[1][layer])
        assert abs(torch.cosine_similarity(seeds[0][layer], seeds[2][layer], dim=0)) < 0.6
        assert abs(torch.cosine_similarity(seeds[0][layer], real[layer], dim=0)) < 0.6
    assert abs(torch.cosine_similarity(seeds[0][1], seeds[0][2], dim=0)) < 0.6


def test_bad_input(vectors: VectorSet) -> None:
    for layer in (-1, 6):
        with pytest.raises(UserError, match=f"layer {layer} is outside the model: its layers are 0 to 5"):
            directions(Configuration("iar", (layer,), 1.0), vectors)
    with pytest.raises(UserError, match="needs revision vectors"):
        directions(Configuration("iar", (1,), 1.0), None)
    with pytest.raises(UserError, match="layer 5 is zero"):
        directions(Configuration("iar", (5,), 1.0, scale="unit"), vectors)
