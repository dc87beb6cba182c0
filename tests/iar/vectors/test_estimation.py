from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from iar.errors import UserError
from iar.models import LoadedModel
from iar.pairs import Example
from iar.vectors import collect, estimate, from_statistics
from iar.vectors.activations import pooled
from iar.vectors.random_direction import random_unit
from iar.vectors.statistics import Sample, Statistics, Sums


def activations(tiny: LoadedModel, examples: list[Example], policy: str) -> tuple[np.ndarray, np.ndarray]:
    """(sites, examples, width) of the layers and of the heads."""
    (batch,) = pooled(tiny, examples, [policy], heads=True, batch_size=len(examples))
    back = np.argsort(batch.index)
    heads = batch.heads[0].permute(0, 2, 1, 3).flatten(0, 1)
    return batch.layers[0].double().numpy()[:, back], heads.double().numpy()[:, back]


@pytest.mark.parametrize("tokens", ["mean", "last", "first_2"])
def test_equals_the_definition(tiny: LoadedModel, examples: list[Example], tokens: str) -> None:
    found = estimate(tiny, examples, tokens=tokens, batch_size=3)
    safe = np.array([example.safe for example in examples])
    assert found.heads is not None
    for values, vectors, norm, sigma in zip(
        activations(tiny, examples, tokens),
        (found.vectors, found.heads.vectors.flatten(0, 1)),
        (found.mean_norm, found.heads.mean_norm.flatten()),
        (found.sigma, found.heads.sigma.flatten()),
        strict=True,
    ):
        shift = values[:, safe].mean(1) - values[:, ~safe].mean(1)
        unit = shift / np.linalg.norm(shift, axis=-1, keepdims=True)
        projected = np.einsum("sew,sw->se", values, unit)
        assert np.abs(vectors.numpy() - shift).max() < 1e-5 * np.abs(shift).max()
        assert sigma.numpy() == pytest.approx(projected.std(1), rel=1e-3)
        assert norm.numpy() == pytest.approx(np.linalg.norm(values, axis=-1).mean(1), rel=1e-5)
        if values.shape[0] == 6:  # layers
            within = np.sqrt((projected[:, safe].var(1) + projected[:, ~safe].var(1)) / 2)
            gap = projected[:, safe].mean(1) - projected[:, ~safe].mean(1)
            assert found.separation.numpy() == pytest.approx(gap / within, rel=1e-3)
    assert found.vectors.dtype == torch.float32
    expected = {"tokens": tokens, "n_pairs": "5", "n_safe": "5", "method": "mms", "fingerprint": tiny.fingerprint}
    assert expected.items() <= found.header.items()


def test_estimators_share_length_and_statistics(tiny: LoadedModel, examples: list[Example]) -> None:
    statistics = collect(tiny, examples)["mean"]
    found = from_statistics(statistics, ["mms", "pwd", "random"], n_layers=6, seed=3)
    length = found["mms"].vectors.norm(dim=1)
    for name in ("pwd", "random"):
        assert torch.allclose(found[name].vectors.norm(dim=1), length, rtol=1e-5)
        assert torch.allclose(
            found[name].heads.vectors.norm(dim=-1), found["mms"].heads.vectors.norm(dim=-1), rtol=1e-5
        )
        assert torch.equal(found[name].accuracy, found["mms"].accuracy)
        assert not torch.allclose(found[name].vectors, found["mms"].vectors)
        assert not torch.allclose(found[name].sigma, found["mms"].sigma)
    again = from_statistics(statistics, ["random"], n_layers=6, seed=3)["random"]
    other = from_statistics(statistics, ["random"], n_layers=6, seed=4)["random"]
    assert torch.equal(again.vectors, found["random"].vectors)
    for layer, head in ((0, 1), (4, 2)):  # a head's own direction, whatever the number of layers
        vector = again.heads.vectors[layer, head]
        assert torch.allclose(vector / vector.norm(), random_unit(3, layer, head, size=8), atol=1e-5)
    assert not torch.allclose(other.vectors, again.vectors)


def test_probe_weights_point_to_safe(tiny: LoadedModel, examples: list[Example]) -> None:
    statistics = collect(tiny, examples)["mean"]
    found = from_statistics(statistics, ["pwd"], n_layers=6)["pwd"]
    assert (found.separation > 1).all()  # d' of the classes along it, positive towards safe


def test_layers_alone(tiny: LoadedModel, examples: list[Example]) -> None:
    whole, layers = estimate(tiny, examples), estimate(tiny, examples, heads=False)
    assert layers.heads is None
    assert torch.equal(layers.vectors, whole.vectors)


def test_unpaired_prompts(tiny: LoadedModel) -> None:
    prompts = [
        Example(str(i), i < 2, f"How do I use this {what}?") for i, what in enumerate(("cat", "dog", "B.", "A.", "C"))
    ]
    found = estimate(tiny, prompts, tokens="last_prompt", strategy="behaviour")
    assert (found.header["n_safe"], found.header["n_unsafe"]) == ("2", "3")
    assert found.vectors.norm(dim=1).min() > 0


def test_classes_that_do_not_differ_give_zeros() -> None:
    sums = Sums.zeros(2, 4)
    safe = torch.arange(6) % 2 == 0
    sums.add(torch.ones(2, 6, 4), safe)
    statistics = Statistics(sums, Sample(torch.arange(6) // 2, safe, torch.ones(2, 6, 4)))
    vectors = from_statistics(statistics, n_layers=2)["mms"]
    for value in (vectors.vectors, vectors.sigma, vectors.separation):
        assert not value.any()
    assert vectors.mean_norm.tolist() == [2.0, 2.0]
    assert vectors.accuracy.tolist() == [0.5, 0.5]


def test_copies_are_no_held_out_pairs(tiny: LoadedModel, examples: list[Example]) -> None:
    """Twelve copies of every pair measure what the pairs measure, and of one pair nothing."""
    many = [replace(e, pair=f"{e.pair} {i}" if i else e.pair) for i in range(12) for e in examples]
    once, often = (collect(tiny, given, batch_size=8)["mean"] for given in (examples, many))
    assert often.sums.count.tolist() == (12 * once.sums.count).tolist()
    assert torch.equal(once.sample.keys, often.sample.keys) and torch.equal(once.sample.safe, often.sample.safe)
    assert torch.allclose(once.sample.values, often.sample.values, rtol=1e-4, atol=1e-5)
    found = [from_statistics(statistics, n_layers=6)["mms"] for statistics in (once, often)]
    assert torch.equal(found[0].accuracy, found[1].accuracy)
    assert torch.allclose(found[0].vectors, found[1].vectors, rtol=1e-3, atol=1e-5)
    alone = estimate(tiny, [e for e in many if e.pair.split()[0] == "0"])  # nothing can be held out
    assert alone.heads is not None and {*alone.accuracy.tolist(), *alone.heads.accuracy.flatten().tolist()} == {0.5}


@pytest.mark.parametrize("estimator", ["mms", "pwd", "random"])
def test_no_vector_of_sides_that_are_alike(tiny: LoadedModel, examples: list[Example], estimator: str) -> None:
    """Responses in another order on either side: the means are equal up to rounding, though no pair's sides are."""
    turned = [replace(e, pair=f"{e.pair}'", safe=not e.safe) for e in examples]
    with pytest.raises(UserError, match=r"the vectors of every layer have length 0: the sides of the pairs are alike"):
        estimate(tiny, [*examples, *turned], estimator=estimator, batch_size=3)


def test_progress(tiny: LoadedModel, examples: list[Example]) -> None:
    seen: list[tuple[int, int]] = []
    collect(tiny, examples, batch_size=4, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_bad_input(tiny: LoadedModel, examples: list[Example]) -> None:
    with pytest.raises(UserError, match="unknown token policy 'maen': did you mean 'mean'"):
        estimate(tiny, examples, tokens="maen")
    with pytest.raises(UserError, match="unknown estimator 'mns': did you mean 'mms'"):
        estimate(tiny, examples, estimator="mns")
    with pytest.raises(UserError, match="at least 2"):
        estimate(tiny, examples[:2])
    with pytest.raises(UserError, match="no unsafe example among 5"):
        estimate(tiny, examples[::2])
    with pytest.raises(UserError, match="last_prompt reads the same prompt on both sides of every pair"):
        estimate(tiny, examples, tokens="last_prompt")


MEMORY = """
import resource, sys
from iar.models.checkpoint import load
from iar.pairs import Example
from iar.vectors import collect
loaded = load(sys.argv[1])
def pairs(count):
    answers = ("Yes, there is.", "No.")
    asked = [f"Is there a spoon {i:04}?" * 4 for i in range(count)]
    return [Example(str(i // 2), i % 2 == 0, asked[i // 2], None, answers[i % 2]) for i in range(2 * count)]
from iar.vectors import estimation
estimation.SAMPLE = 8
collect(loaded, pairs(10))  # whatever is loaded and allocated once
for count in map(int, sys.argv[2:]):
    found = collect(loaded, pairs(count))["mean"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak, found.sample.values.nelement(), int(found.sums.count.sum()))
"""


def test_memory_does_not_grow_with_the_pairs(tiny_folder: Path, warm_python: str) -> None:
    """Peak memory of a process that reads 10 pairs and then 300."""
    counts = (10, 300)
    done = subprocess.run(
        [warm_python, "-c", MEMORY, str(tiny_folder), *map(str, counts)], capture_output=True, text=True, check=True
    )
    peaks = []
    for count, line in zip(counts, done.stdout.splitlines(), strict=True):
        peak, kept, read = map(int, line.split())
        assert kept == 6 * 16 * 32 and read == 2 * count
        peaks.append(peak * (1 if sys.platform == "darwin" else 1024))
    # All activations of 300 pairs, unpooled (600 x 52 tokens x 6 layers x 2 x 32 x 4 bytes), would be 48 MB.
    assert peaks[1] - peaks[0] < 16e6, peaks
