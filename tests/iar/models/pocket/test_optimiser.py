from __future__ import annotations

import torch
from torch import nn

from iar.models.pocket.optimiser import Muon, orthogonalise


def test_orthogonalise_brings_singular_values_near_one():
    generator = torch.Generator().manual_seed(0)
    for shape in ((4, 64, 64), (3, 64, 176), (3, 176, 64)):
        found = orthogonalise(torch.randn(shape, generator=generator))
        values = torch.linalg.svdvals(found)
        assert found.shape == shape
        assert 0.8 < values.median() < 1.15 and values.max() < 1.25 and values.quantile(0.1) > 0.6


def test_orthogonalise_keeps_the_singular_vectors_and_ignores_length():
    generator = torch.Generator().manual_seed(1)
    update = torch.randn(1, 32, 48, generator=generator)
    left, _, right = torch.linalg.svd(update, full_matrices=False)
    found = orthogonalise(update)
    inner = (left.mT @ found @ right.mT)[0]
    assert (inner - torch.diag(inner.diag())).abs().max() < 1e-4
    assert torch.allclose(orthogonalise(update * 1000), found, atol=1e-5)


def test_matrices_of_layers_go_to_muon_and_the_rest_to_adam():
    layers = nn.ModuleDict({"layers": nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(3))})
    layers["head"] = nn.Linear(8, 4)
    optimiser = Muon([(f"model.{n}", p) for n, p in layers.named_parameters()], lr=0.1)
    assert [len(group) for group in optimiser.matrices] == [3] and len(optimiser.rest) == 2
    assert set(optimiser.state) == {f"adam.{i}.{kind}" for i in (0, 1) for kind in ("mean", "square")} | {"muon.0"}
    before = [p.detach().clone() for p in layers.parameters()]
    for p in layers.parameters():
        p.grad = torch.randn_like(p)
    optimiser.step(1.0)
    matrix = layers["layers"][0].weight
    moved = (matrix - before[0] * (1 - 0.01 * 0.1)).detach()
    assert torch.linalg.svdvals(moved).max() < 1.25 * 0.2 * 8**0.5 * 0.1
    # Adam's first step is the sign of the gradient times half the learning rate.
    assert torch.allclose((layers["head"].bias - before[-1]).abs(), torch.full((4,), 0.05), atol=1e-4)
    assert all(p.grad is None for p in layers.parameters())


def test_it_minimises():
    torch.manual_seed(0)
    model = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(16, 16), nn.Linear(16, 16)]), "out": nn.Linear(16, 2)})
    optimiser = Muon([(f".{n}", p) for n, p in model.named_parameters()], lr=0.02)
    x = torch.randn(128, 16)
    y = torch.stack((x[:, 0] * x[:, 1], x[:, 2]), 1)
    losses = []
    for step in range(150):
        hidden = x
        for layer in model["layers"]:
            hidden = torch.relu(layer(hidden))
        loss = (model["out"](hidden) - y).pow(2).mean()
        loss.backward()
        optimiser.step(1 - step / 150)
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
