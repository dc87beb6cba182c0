"""Gates from activations: each part against what it is by definition."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from iar.vectors.gate_estimation import Known, Read, estimate
from iar.vectors.rule_fit import coefficients

LAYERS, UNSAFE, BENIGN, ANSWERS = 2, 24, 30, 8


def reading(width: int, categories: str = "ab") -> Read:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(LAYERS, UNSAFE + BENIGN, width, generator=generator)
    values[:, :UNSAFE, 0] += 4
    unsafe = torch.arange(UNSAFE + BENIGN) < UNSAFE
    named = [categories[at % len(categories)] if at < UNSAFE else "" for at in range(UNSAFE + BENIGN)]
    for at, name in enumerate(named):
        values[:, at, 1] += {"a": 4, "b": -4}.get(name, 0)
    groups = [str(at // 2) if at >= UNSAFE else f"u{at // 4}" for at in range(UNSAFE + BENIGN)]
    return Read(values, unsafe, groups, named, torch.randn(LAYERS, ANSWERS, width, generator=generator))


def known(width: int, categories: str = "ab") -> Known:
    generator = torch.Generator().manual_seed(1)
    return Known(
        torch.randn(LAYERS, width, generator=generator),
        {name: torch.randn(LAYERS, width, generator=generator).double() for name in categories},
    )


@pytest.mark.parametrize("width", [12, 100])
def test_every_part_is_what_it_says(width):
    """Also where activations have more numbers than there are prompts, and all is fitted in their span."""
    read, file = reading(width), known(width)
    done: list[int] = []
    gates = estimate(read, {"file": file}, done.append)["file"]
    assert done == [1, 2]
    unsafe, benign = read.values[:, read.unsafe], read.values[:, ~read.unsafe]
    assert gates.weight.shape == (LAYERS, width) and gates.bias.shape == (LAYERS,)
    assert torch.allclose(gates.benign_mean, benign.mean(1)) and gates.auroc.min() > 0.9
    assert torch.allclose(gates.response_mean, read.responses.mean(1))
    for layer in range(LAYERS):
        risk = coefficients(unsafe[layer], benign[layer], read.responses[layer])
        assert torch.allclose(gates.risk[layer], risk, atol=1e-5 * float(risk.abs().max() + 1))
    fires = torch.sigmoid(torch.einsum("lph,lh->lp", read.values, gates.weight) + gates.bias[:, None]) > 0.5
    assert (fires == read.unsafe).float().mean() > 0.95
    assert gates.scores.shape == (LAYERS, UNSAFE + BENIGN)
    assert torch.equal(gates.rate, (gates.scores > 0.5).float().mean(1))
    assert gates.categories == ("a", "b") and torch.equal(gates.category_vectors[1], file.categories["b"].float())
    p = torch.einsum("lph,clh->clp", read.values[:, :UNSAFE], gates.category_weight) + gates.category_bias[..., None]
    told = p.argmax(0) == torch.arange(UNSAFE) % 2
    assert told.float().mean() > 0.95


def test_what_the_model_refuses_has_a_probe_of_its_own():
    read = reading(100)
    plain = estimate(read, {"file": known(100)})["file"]
    assert not len(plain.refusal_bias) and not plain.refusal_scores.numel()
    refused = torch.arange(UNSAFE + BENIGN) % 3 == 0
    read.values[:, refused, 2] += 5
    gates = estimate(replace(read, refused=refused), {"file": known(100)})["file"]
    assert gates.refusal_weight.shape == (LAYERS, 100) and gates.refusal_scores.shape == (LAYERS, UNSAFE + BENIGN)
    found = torch.sigmoid(torch.einsum("lph,lh->lp", read.values, gates.refusal_weight) + gates.refusal_bias[:, None])
    for scores in (found, gates.refusal_scores):
        assert ((scores > 0.5) == refused).float().mean() > 0.9
    both = (gates.scores[1] <= 0.4) & (gates.refusal_scores[1] > 0.5)
    assert gates.released_at(1, 0.4, if_refused=True) == pytest.approx(float(both.float().mean()))
    assert gates.released_at(1, 0.4, if_refused=False) == 1 - gates.rate_at(1, 0.4)


def test_files_share_what_is_not_theirs():
    one, other = known(12), Known(torch.eye(12)[:LAYERS], known(12).categories)
    found = estimate(reading(12), {"one": one, "other": other})
    assert torch.equal(found["one"].weight, found["other"].weight)


def test_a_category_of_one_group_and_one_without_pairs_have_no_gate():
    read = reading(12, "abc")
    groups = ["of c" if name == "c" else group for name, group in zip(read.categories, read.groups, strict=True)]
    read = Read(read.values, read.unsafe, groups, read.categories, read.responses)
    gates = estimate(read, {"file": known(12, "ac")})["file"]
    assert gates.categories == ("a",) and gates.category_weight.shape == (1, LAYERS, 12)
    assert json.loads(gates.header["gate_categories"]) == ["a"]
    assert json.loads(gates.header["gate_category_prompts"]) == {"a": 8}
    assert (gates.header["gate_unsafe"], gates.header["gate_benign"], gates.header["gate_responses"]) == (
        "24",
        "30",
        "8",
    )
    none = estimate(read, {"file": known(12, "")})["file"]
    assert none.categories == () and none.category_vectors.shape == (0, LAYERS, 12)
    assert none.category_bias.shape == (0, LAYERS)


def test_without_answers_the_mean_of_answers_is_that_of_prompts():
    read = reading(12)
    bare = Read(read.values, read.unsafe, read.groups, read.categories, read.responses[:, :0])
    gates = estimate(bare, {"file": known(12)})["file"]
    assert torch.equal(gates.response_mean, gates.benign_mean) and gates.header["gate_responses"] == "0"


def test_nothing_to_hold_out():
    read = reading(12)
    with pytest.raises(ValueError, match="one group holds all of a class"):
        estimate(Read(read.values, read.unsafe, ["a"] * UNSAFE + read.groups[UNSAFE:], [""] * 54, read.responses), {})
