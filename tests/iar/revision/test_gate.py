"""Gates by themselves, and in the hooks: read at the last prompt token, kept for the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from iar.models import chat
from iar.revision import Revision, steering
from iar.revision.gate import Gate, both_ways, widest
from tests.iar.revision.conftest import greedy, hooks

WEIGHT, BIAS = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0.0, -1.0])
HIDDEN = torch.tensor([[2.0, 1.0], [-2.0, 1.5], [-3.0, -3.0]])


def test_probabilities_are_those_of_the_probes():
    found = Gate(0, WEIGHT, BIAS).probabilities(HIDDEN)
    assert torch.allclose(found, torch.sigmoid(torch.tensor([[2.0, 1.0], [-2.0, 2.0], [-3.0, -7.0]])))


def test_the_kinds_of_weights():
    assert Gate(0, WEIGHT[:1], BIAS[:1], 0.8).weights(HIDDEN).tolist() == [[1], [0], [0]]
    assert Gate(0, WEIGHT[:1], BIAS[:1], 0.9).weights(HIDDEN).tolist() == [[0], [0], [0]]
    soft = Gate(0, WEIGHT[:1], BIAS[:1], kind="soft")
    assert torch.equal(soft.weights(HIDDEN), soft.probabilities(HIDDEN))
    strongest = Gate(0, WEIGHT, BIAS, kind="strongest")
    assert strongest.weights(HIDDEN).tolist() == [[1, 0], [0, 1], [0, 0]]
    assert (widest([]), widest([None, soft]), widest([soft, strongest, None])) == (1, 1, 2)


def test_one_probe_decides_both_ways():
    weight, bias = torch.tensor([1.0, 0.0]), torch.tensor(0.0)
    hidden = torch.tensor([[2.0, 0.0], [0.1, 0.0], [-0.1, 0.0], [-2.0, 0.0]])  # p is .88, .52, .48, .12
    hard = both_ways(1, weight, bias, above=0.6, below=0.4)
    assert hard.weights(hidden).tolist() == [[1, 0], [0, 0], [0, 0], [0, 1]] and widest([hard]) == 2
    p = Gate(1, weight[None], bias[None]).probabilities(hidden)[:, 0].double()
    assert torch.allclose(hard.probabilities(hidden).double(), torch.stack([p, 1 - p], 1), atol=1e-6)
    soft = both_ways(1, weight, bias, above=0.6, below=0.4, soft=True).weights(hidden).double()
    expected = torch.stack([((p - 0.6) / 0.4).clamp(min=0), ((0.4 - p) / 0.4).clamp(min=0)], 1)
    assert torch.allclose(soft, expected, atol=1e-6) and (expected > 0).sum() == 2
    for ends in (hard.kind == "ramp", True):  # probabilities that nothing is beyond
        never = both_ways(1, weight, bias, above=1.0, below=0.0, soft=ends)
        assert not never.weights(100 * hidden).any()


def test_a_condition_holds_the_second_way_back():
    """It adds nothing itself, whichever kind the two ways are of."""
    weight, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    hidden = torch.tensor([[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0], [0.0, 1.0]])
    for soft in (False, True):
        free = both_ways(1, weight, torch.tensor(0.0), 0.6, 0.4, soft)
        held = both_ways(1, weight, torch.tensor(0.0), 0.6, 0.4, soft, (other, torch.tensor(0.0)))
        assert (widest([free]), widest([held])) == (2, 3) and held.probabilities(hidden).shape == (5, 3)
        expected = torch.cat([free.weights(hidden), torch.zeros(5, 1)], 1)
        assert expected[2:4, 1].min() > 0
        expected[3, 1] = 0  # reads harmless, and the condition is not met
        assert torch.equal(held.weights(hidden), expected)


@dataclass(frozen=True)
class Away:
    """A rule: a tenth of each activation is taken off."""

    def added(self, hidden: Tensor) -> Tensor:
        return -hidden / 10


def firing(tiny: Any, features: Any, layer: int, scale: float = 1.0) -> Gate:
    """A gate that tells the two prompts apart: it fires on the first."""
    kept: list[Tensor] = []
    handle = tiny.decoder.layers[layer].register_forward_hook(lambda m, a, out: kept.append(out[:, -1]))
    with torch.no_grad():
        tiny.model(**features)
    handle.remove()
    first, second = kept[0]
    weight = (first - second) / (first - second).square().sum() * 4 * scale
    return Gate(layer, weight[None], -(weight @ (first + second) / 2)[None])


@pytest.mark.parametrize("positions", ["last", "generated"])
@pytest.mark.parametrize("layer", [1, 3])
def test_a_gate_steers_the_rows_that_it_fires_on(tiny, features, vector, positions, layer):
    plain, _ = greedy(tiny.model, features)
    with steering(tiny.decoder, [Revision({3: vector})] * 2, [positions] * 2):
        steered, _ = greedy(tiny.model, features)
    assert plain[0] != steered[0] and plain[1] != steered[1]
    gate = firing(tiny, features, layer)
    with steering(tiny.decoder, [Revision({3: vector}, gate=gate)], [positions]):
        found, _ = greedy(tiny.model, features)
        uncached, _ = greedy(tiny.model, features, use_cache=False)
    assert found == uncached == [steered[0], plain[1]]


def test_a_gate_multiplies_heads_rules_and_categories(tiny, features, vector):
    gate = firing(tiny, features, 1)
    soft = Gate(1, gate.weight, gate.bias, kind="soft")
    ways = both_ways(1, gate.weight[0], gate.bias[0], 0.6, 0.4)
    ramp = both_ways(1, gate.weight[0], gate.bias[0], 0.6, 0.4, soft=True)
    with torch.no_grad():
        kept: list[Tensor] = []
        handle = tiny.decoder.layers[1].register_forward_hook(lambda m, a, out: kept.append(out[:, -1]))
        tiny.model(**features)
        handle.remove()
    p = soft.probabilities(kept[0])[:, 0]
    three = torch.stack([0 * vector, vector, -vector])
    chosen = Gate(1, torch.cat([-gate.weight, gate.weight, 0 * gate.weight]), torch.zeros(3), 0.0, "strongest")
    best = chosen.probabilities(kept[0]).argmax(1)
    for gated, plainly in (
        (Revision(heads={2: vector}, gate=soft), [Revision(heads={2: vector * float(x)}) for x in p]),
        (Revision({2: vector, 4: -vector}, gate=soft), [Revision({2: vector * x, 4: -vector * x}) for x in p]),
        (Revision({3: three[1:]}, gate=ways), [Revision({3: vector}), Revision({3: -vector})]),
        (Revision(heads={2: three[1:]}, gate=ways), [Revision(heads={2: vector}), Revision(heads={2: -vector})]),
        (
            Revision({3: three[1:]}, gate=ramp),
            [Revision({3: vector * float(x)}) for x in ramp.weights(kept[0]) @ torch.tensor([1.0, -1.0])],
        ),
        (Revision({3: three}, gate=chosen), [Revision({3: three[int(i)]}) for i in best]),
    ):
        with steering(tiny.decoder, [gated] * 2, ["last"] * 2):
            found, logits = greedy(tiny.model, features)
        with steering(tiny.decoder, plainly, ["last"] * 2):
            right, expected = greedy(tiny.model, features)
        assert found == right
        assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()


def test_rows_of_a_batch_have_gates_rules_or_neither(tiny, features, vector):
    gate = firing(tiny, features, 2)
    closed = Gate(2, gate.weight, gate.bias, 1.0)
    kinds = [
        Revision(), Revision({1: vector}), Revision({2: vector}, gate=closed), Revision({4: vector}, gate=gate),
        Revision(rules={3: Away()}), Revision(rules={3: Away()}, gate=gate),
    ]  # fmt: skip
    alone = []
    for kind in kinds:
        with steering(tiny.decoder, [kind], ["last"]):
            alone.append(greedy(tiny.model, features)[0][0])
    assert alone[2] == alone[0] and alone[5] == alone[4] != alone[0]
    one = {name: value[:1] for name, value in features.items() if name != "pixel_values"}
    rows = {name: value.repeat(len(kinds), 1) for name, value in one.items()}
    rows["pixel_values"] = features["pixel_values"].repeat(len(kinds), 1, 1, 1)
    before = hooks(tiny.model)
    with steering(tiny.decoder, kinds, ["last"] * len(kinds)):
        assert greedy(tiny.model, rows)[0] == alone
    assert hooks(tiny.model) == before


def test_beams_follow_their_row(tiny, features, vector):
    gate = firing(tiny, features, 2)
    with steering(tiny.decoder, [Revision({3: vector}), Revision()], ["last"] * 2):
        right, _ = greedy(tiny.model, features, num_beams=2)
    with steering(tiny.decoder, [Revision({3: vector}, gate=gate)] * 2, ["last"] * 2):
        assert greedy(tiny.model, features, num_beams=2)[0] == right


def test_a_second_prompt_is_read_anew(tiny, features, vector):
    gate = firing(tiny, features, 2)
    other = chat.encode(tiny, ["hello", "Is it a knife?"], [[], []])[0]
    with steering(tiny.decoder, [Revision({3: vector}, gate=gate)], ["last"]):
        first, _ = greedy(tiny.model, features)
        second, _ = greedy(tiny.model, other)
        assert greedy(tiny.model, features)[0] == first
    with steering(tiny.decoder, [Revision({3: vector}, gate=gate)], ["last"]):
        assert greedy(tiny.model, other)[0] == second
