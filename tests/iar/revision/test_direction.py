from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from iar.errors import UserError
from iar.revision import Configuration, best_heads, directions
from iar.revision.methods import METHODS
from iar.vectors import VectorSet


def test_scales(vectors: VectorSet) -> None:
    vector, length = vectors.vectors[2], vectors.vectors[2].norm()

    def at(**settings: Any) -> torch.Tensor:
        added = directions(Configuration("iar", (2,), 1.5, **settings), vectors)
        assert list(added.layers) == [2]
        assert not added.heads
        return added.layers[2]

    assert torch.equal(at(), 1.5 * vector)
    assert torch.allclose(at(scale="unit"), 1.5 * vector / length)
    assert torch.allclose(at(scale="sigma"), 1.5 * 2.5 * vector / length)
    assert torch.allclose(at(scale="norm"), 1.5 * 6 * vector / length)


def test_scales_of_heads(vectors: VectorSet) -> None:
    assert vectors.heads is not None
    chosen = best_heads(vectors.heads, 3)
    for scale in ("raw", "unit", "sigma", "norm"):
        added = directions(Configuration("iar", (), 15, scale, heads=3), vectors)  # type: ignore[arg-type]
        assert not added.layers
        assert list(added.heads) == sorted({layer for layer, _ in chosen})
        for layer, flat in added.heads.items():
            for head, found in enumerate(flat.view(4, 8)):
                vector, size = vectors.heads.vectors[layer, head], vectors.heads.sigma[layer, head]
                if scale == "norm":
                    size = torch.tensor(1.0 + 4 * layer + head)
                factor = {"raw": 1.0, "unit": 1 / vector.norm()}.get(scale, size / vector.norm())
                expected = 15 * factor * vector if (layer, head) in chosen else torch.zeros(8)
                assert torch.allclose(found, expected)


def test_heads_of_chosen_layers(vectors: VectorSet) -> None:
    added = directions(Configuration("iar", (1, 4), 1.0, heads=8), vectors)
    assert list(added.heads) == [1, 4]
    assert all(flat.view(4, 8).any(-1).all() for flat in added.heads.values())


def test_none_and_several_layers(vectors: VectorSet) -> None:
    nothing = directions(Configuration(), None)
    assert not nothing.layers and not nothing.heads
    added = directions(Configuration("iar", (1, 4), 2.0), vectors).layers
    assert torch.equal(added[4], 2 * vectors.vectors[4])
    assert list(added) == [1, 4]


@pytest.mark.parametrize("scale", ["raw", "unit", "sigma", "norm"])
@pytest.mark.parametrize("heads", [0, 8])
def test_random_differs_in_direction_only(vectors: VectorSet, scale: Any, heads: int) -> None:
    def parts(method: Any, seed: int = 0) -> dict[Any, torch.Tensor]:
        added = directions(Configuration(method, (1, 2), 1.5, scale, heads=heads, seed=seed), vectors)
        if not heads:
            return dict(added.layers)
        return {(layer, head): v for layer, flat in added.heads.items() for head, v in enumerate(flat.view(4, 8))}

    real, first, again, other = parts("iar"), parts("random"), parts("random"), parts("random", 1)
    assert list(first) == list(real) and len(real) == (8 if heads else 2)

    def cosine(a: dict[Any, torch.Tensor], b: dict[Any, torch.Tensor]) -> float:
        return torch.stack([torch.cosine_similarity(x, b[place], dim=0).abs() for place, x in a.items()]).mean().item()

    for place, vector in real.items():
        assert first[place].norm().item() == pytest.approx(vector.norm().item(), rel=1e-5)
        assert torch.equal(first[place], again[place])
    assert cosine(first, other) < 0.6
    assert cosine(first, real) < 0.6
    directed = [v / v.norm() for v in first.values()]
    assert all(abs(a @ b) < 0.99 for i, a in enumerate(directed) for b in directed[:i])


def test_bad_input(vectors: VectorSet) -> None:
    for layer in (-1, 6):
        for heads in (0, 2):
            with pytest.raises(UserError, match=f"layer {layer} is outside the model: its layers are 0 to 5"):
                directions(Configuration("iar", (layer,), 1.0, heads=heads), vectors)
    with pytest.raises(UserError, match="needs revision vectors"):
        directions(Configuration("iar", (1,), 1.0), None)
    with pytest.raises(UserError, match="needs vectors of heads: make them"):
        directions(Configuration("iar", (), 1.0, heads=2), dataclasses.replace(vectors, heads=None))
    with pytest.raises(UserError, match=r"heads=25, but all layers hold 24 heads .*: take heads=24 or fewer"):
        directions(Configuration("iar", (), 1.0, heads=25), vectors)
    zero = dataclasses.replace(vectors, vectors=torch.zeros(6, 32))
    with pytest.raises(UserError, match="layer 5 is zero"):
        directions(Configuration("iar", (5,), 1.0, "unit"), zero)


def test_a_gated_configuration_adds_what_the_plain_one_adds(vectors: VectorSet, random_gates: Any) -> None:
    gates = random_gates()
    known = dataclasses.replace(vectors, gates=gates)
    plain = Configuration("iar", (3, 4), 2.0, "unit")
    gated = directions(dataclasses.replace(plain, method="gated", threshold=0.7), known)
    for layer, vector in directions(plain, vectors).layers.items():
        assert torch.equal(gated.layers[layer], vector)
    assert gated.gate is not None and (gated.gate.layer, gated.gate.threshold, gated.gate.kind) == (3, 0.7, "hard")
    assert torch.equal(gated.gate.weight, gates.weight[3:4]) and torch.equal(gated.gate.bias, gates.bias[3:4])
    early = directions(dataclasses.replace(plain, method="gated", gate_layer=1, gate="soft"), known).gate
    assert early is not None and (early.layer, early.kind) == (1, "soft")
    control = directions(dataclasses.replace(plain, method="gated_random", seed=5), known)
    random = directions(dataclasses.replace(plain, method="random", seed=5), vectors)
    assert all(torch.equal(control.layers[layer], random.layers[layer]) for layer in (3, 4)) and control.gate


@pytest.mark.parametrize("heads", [0, 6])
def test_calibration_has_the_plain_ones_of_both_strengths(vectors: VectorSet, random_gates: Any, heads: int) -> None:
    gates = random_gates()
    known = dataclasses.replace(vectors, gates=gates)
    settings: dict[str, Any] = {"scale": "sigma", "heads": heads, "seed": 5}
    asked = Configuration("calibrated", (3, 4), 2.0, threshold=0.7, release=0.25, release_threshold=0.2, **settings)
    for method, plain in (("calibrated", "iar"), ("calibrated_random", "random")):
        found = directions(dataclasses.replace(asked, method=method), known)
        up, down = (directions(Configuration(plain, (3, 4), s, **settings), vectors) for s in (2.0, -0.25))
        for both, one, other in ((found.layers, up.layers, down.layers), (found.heads, up.heads, down.heads)):
            assert both.keys() == one.keys()
            assert all(torch.equal(both[layer], torch.stack([one[layer], other[layer]])) for layer in one)
        gate = found.gate
        assert gate is not None and (gate.layer, gate.kind) == (found.blocks[0] - bool(heads), "hard")
        assert gate.threshold == (0.7, 0.8) and torch.equal(gate.weight[0], gates.weight[gate.layer])
        assert torch.equal(gate.weight[1], -gate.weight[0]) and torch.equal(gate.bias[1], -gate.bias[0])
    soft = directions(dataclasses.replace(asked, gate="soft", gate_layer=1), known).gate
    assert soft is not None and (soft.layer, soft.kind) == (1, "ramp")
    on_refusals = dataclasses.replace(asked, release_if="refused")
    with pytest.raises(UserError, match="what the model refuses by itself: make them again"):
        directions(on_refusals, known)
    learnt = dataclasses.replace(gates, refusal_weight=gates.benign_mean, refusal_bias=gates.bias / 2)
    found = directions(on_refusals, dataclasses.replace(vectors, gates=learnt))
    plain = directions(asked, known)
    for three, two in ((found.layers, plain.layers), (found.heads, plain.heads)):
        assert all(torch.equal(three[at], torch.cat([two[at], torch.zeros(1, *two[at].shape[1:])])) for at in two)
    gate = found.gate
    assert gate is not None and gate.conditioned and plain.gate is not None and not plain.gate.conditioned
    assert torch.equal(gate.weight[:2], plain.gate.weight) and torch.equal(gate.bias[:2], plain.gate.bias)
    assert torch.equal(gate.weight[2], gates.benign_mean[gate.layer]) and gate.bias[2] == gates.bias[gate.layer] / 2


def test_a_gate_of_heads_reads_the_block_before_them(vectors: VectorSet, random_gates: Any) -> None:
    known = dataclasses.replace(vectors, gates=random_gates())
    found = directions(Configuration("gated", (2, 5), 1.0, heads=6), known)
    plain = directions(Configuration("iar", (2, 5), 1.0, heads=6), vectors)
    assert found.gate is not None and found.gate.layer == min(plain.heads) - 1
    assert all(torch.equal(found.heads[block], plain.heads[block]) for block in plain.heads)
    with pytest.raises(UserError, match="its gate would read block -1, but its heads begin in block 0"):
        directions(Configuration("gated", (0,), 1.0, heads=2), known)


def test_categories_have_a_vector_and_a_gate_each(vectors: VectorSet, random_gates: Any) -> None:
    gates = random_gates()
    known = dataclasses.replace(vectors, gates=gates)
    found = directions(Configuration("categorical", (4,), 2.0, gate_layer=2), known)
    assert torch.allclose(found.layers[4], 2 * gates.category_vectors[:, 4])
    assert found.gate is not None and (found.gate.layer, found.gate.kind) == (2, "strongest")
    assert torch.equal(found.gate.weight, gates.category_weight[:, 2])
    unit = directions(Configuration("categorical", (4,), 2.0, "unit"), known).layers[4]
    assert torch.allclose(unit.norm(dim=1), torch.tensor([2.0, 2.0]))


def test_random_categories_keep_gates_and_lengths(vectors: VectorSet, random_gates: Any) -> None:
    known = dataclasses.replace(vectors, gates=random_gates())
    real = directions(Configuration("categorical", (4,), 2.0, gate_layer=2, threshold=0.3), known)
    plain = Configuration("categorical_random", (4,), 2.0, gate_layer=2, threshold=0.3, seed=1)
    control = directions(plain, known)
    assert control.gate is not None and real.gate is not None
    assert torch.equal(control.gate.weight, real.gate.weight) and control.gate.threshold == 0.3
    torch.testing.assert_close(control.layers[4].norm(dim=1), real.layers[4].norm(dim=1))
    assert torch.cosine_similarity(*control.layers[4], dim=0).abs() < 0.6  # each category's own
    assert torch.cosine_similarity(control.layers[4], real.layers[4]).abs().max() < 0.6
    assert torch.equal(directions(plain, known).layers[4], control.layers[4])
    assert not torch.equal(directions(dataclasses.replace(plain, seed=2), known).layers[4], control.layers[4])


@pytest.mark.parametrize("method", ["gated", "calibrated", "categorical", "adaptive", "nullspace"])
def test_what_needs_gates_says_so(vectors: VectorSet, method: str) -> None:
    with pytest.raises(UserError, match=r"iar\.extract gates=true"):
        directions(Configuration(method, (4,), 2.0), vectors)


def test_rules_stand_at_their_layers(vectors: VectorSet, random_gates: Any) -> None:
    known = dataclasses.replace(vectors, gates=random_gates())
    for method in ("adaptive", "nullspace", "ablation"):
        found = directions(Configuration(method, (1, 4), 1.0), known)
        assert (found.blocks, found.gate, dict(found.layers)) == ((1, 4), None, {})
        added = found.rules[4].added(torch.randn(3, 32))
        assert added.shape == (3, 32) and added.isfinite().all()


def test_a_rule_may_stand_behind_a_gate(vectors: VectorSet, random_gates: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = dataclasses.replace(METHODS["ablation"], name="sometimes", gated=True, positions=("last", "generated"))
    monkeypatch.setitem(METHODS, "sometimes", row)
    known = dataclasses.replace(vectors, gates=random_gates())
    found = directions(Configuration("sometimes", (2, 4), 1.0, threshold=0.7), known)
    assert found.gate is not None and (found.gate.layer, found.gate.threshold, found.blocks) == (2, 0.7, (2, 4))
    plain = directions(Configuration("ablation", (2, 4), 1.0), vectors)
    hidden = torch.randn(3, 32, generator=torch.Generator().manual_seed(4))
    for layer in (2, 4):
        assert torch.equal(found.rules[layer].added(hidden), plain.rules[layer].added(hidden))
