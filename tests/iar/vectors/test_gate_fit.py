"""Probes of gates on drawn activations whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iar.vectors import gate_fit


def drawn(counts: list[int], apart: float, width: int = 16, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian clouds of spread 1, the k-th moved along axis k by ``apart`` (benign, the first, not at all)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    values = torch.randn(len(labels), width, generator=generator)
    for kind in range(1, len(counts)):
        values[labels == kind, kind] += apart
    return values * 3 + 5, labels


def alone(labels: torch.Tensor) -> torch.Tensor:
    return gate_fit.assign([str(at) for at in range(len(labels))], labels)


def test_classes_that_part_are_told_apart():
    values, labels = drawn([200, 200], 12.0)
    found = gate_fit.fit(values, labels, alone(labels))
    assert found.auroc == 1.0 and found.weight.shape == (1, 16) and found.bias.shape == (1,)
    p = torch.sigmoid(values @ found.weight[0] + found.bias[0])
    assert p[labels == 1].min() > 0.9 and p[labels == 0].max() < 0.1
    assert ((found.scores > 0.5) == (labels == 1)).all()
    assert torch.nn.functional.cosine_similarity(found.weight[0], torch.eye(16)[1], dim=0) > 0.95


@pytest.mark.parametrize("counts", [[3000, 3000], [4500, 1500]])
def test_probabilities_are_calibrated_for_equal_shares(counts):
    """In each bin of probability the share of unsafe prompts is the probability, both classes counted as alike many."""
    values, labels = drawn(counts, 1.5)
    found = gate_fit.fit(values, labels, alone(labels))
    weight = torch.where(labels == 1, 1 / counts[1], 1 / counts[0]).double()
    assert 0.83 < found.auroc < 0.88  # the overlap gives 0.856
    for low in np.arange(0, 1, 0.2):
        rows = (found.scores > low) & (found.scores <= low + 0.2)
        share = float(weight[rows & (labels == 1)].sum() / weight[rows].sum())
        mean = float((weight * found.scores)[rows].sum() / weight[rows].sum())
        assert share == pytest.approx(mean, abs=0.05)
    truth = torch.sigmoid(1.5 * ((values - 5) / 3)[:, 1] - 1.5**2 / 2)  # Bayes
    assert (torch.sigmoid(values @ found.weight[0] + found.bias[0]) - truth).abs().mean() < 0.03


def test_classes_that_do_not_differ_give_an_even_chance():
    values, labels = drawn([60, 60], 0.0, width=64, seed=3)
    labels = labels[torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    found = gate_fit.fit(values, labels, alone(labels))
    assert abs(float(found.auroc) - 0.5) < 0.15
    assert (found.scores - 0.5).abs().max() < 0.25


def test_scores_worse_than_chance_tell_nothing():
    labels = np.array([True, False] * 10)
    assert gate_fit.platt(np.where(labels, -1.0, 1.0), labels) == (0.0, 0.0)
    slope, shift = gate_fit.platt(np.where(labels, 3.0, 1.0), labels)
    assert 0 < slope < 10 and shift == pytest.approx(-2 * slope, rel=1e-6)
    assert 1 / (1 + np.exp(-slope)) == pytest.approx(11 / 12, rel=1e-3)  # certain but for one prompt of each


def test_more_numbers_than_prompts_give_the_same_probe():
    """The fit in the span of the prompts is the fit itself."""
    values, labels = drawn([20, 20], 3.0, width=60)
    folds = alone(labels)
    wide = gate_fit.fit(values, labels, folds)
    turned = torch.linalg.qr(torch.randn(80, 60, generator=torch.Generator().manual_seed(1)))[0].T
    wider = gate_fit.fit(values @ turned, labels, folds)  # the same prompts in 80 dimensions
    assert torch.allclose(wide.scores, wider.scores, atol=2e-3)
    assert torch.allclose(wide.weight @ turned, wider.weight, atol=2e-3 * float(wide.weight.norm()))


def test_the_strongest_names_the_kind():
    values, labels = drawn([300, 100, 100, 100], 4.0)
    found = gate_fit.fit(values, labels, alone(labels))
    p = torch.sigmoid(values @ found.weight.T + found.bias)
    unsafe = labels > 0
    assert ((p.argmax(1) + 1)[unsafe] == labels[unsafe]).float().mean() > 0.97
    assert (p.amax(1) > 0.5)[unsafe].float().mean() > 0.9 and (p.amax(1) > 0.5)[~unsafe].float().mean() < 0.1
    assert found.auroc > 0.97 and found.scores.shape == (600,)


def test_a_kind_that_was_not_fitted_opens_a_gate_by_what_it_shares():
    values, labels = drawn([300, 100, 100, 100], 2.0)
    values += 15 * (labels > 0)[:, None] * torch.eye(16)[9]  # what all dangers share
    known = labels < 3
    found = gate_fit.fit(values[known], labels[known], alone(labels[known]))
    p = torch.sigmoid(values @ found.weight.T + found.bias).amax(1)
    assert (p > 0.5)[labels == 3].float().mean() > 0.8


def test_the_same_input_gives_the_same_bytes():
    values, labels = drawn([50, 40, 30], 2.0)
    one, other = (gate_fit.fit(values, labels, alone(labels)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_groups_are_not_parted_and_folds_are_alike():
    groups = [f"g{at % 37}" for at in range(200)] + ["large"] * 50
    labels = torch.tensor([at % 2 for at in range(250)])
    folds = gate_fit.assign(groups, labels)
    assert all(len({int(f) for f, g in zip(folds, groups, strict=True) if g == name}) == 1 for name in set(groups))
    assert torch.bincount(folds).tolist() == pytest.approx([50] * 5, abs=8) and folds.max() == 4
    again = gate_fit.assign(groups, labels)
    assert torch.equal(folds, again)


def test_few_groups_and_none_to_hold_out():
    two = gate_fit.assign(["a", "a", "b", "b"], torch.tensor([1, 0, 1, 0]))
    assert two.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="one group holds all of a class"):
        gate_fit.assign(["a", "a", "b", "c"], torch.tensor([1, 1, 0, 0]))
