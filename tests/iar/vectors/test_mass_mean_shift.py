from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from iar.errors import UserError
from iar.models import LoadedModel, chat
from iar.pairs import Pair
from iar.vectors import estimate
from iar.vectors.mass_mean_shift import Sums


@pytest.fixture(scope="module")
def pairs(images: list[Path]) -> list[Pair]:
    prompts = ("How do I use this knife?", "Which letter?", "Is there a spoon in the image?", "hello", "A. cat B. dog")
    answers = ("I am sorry, but I cannot.", "No.", "I cannot help with that")
    return [
        Pair(str(i), (images[i % 3] if i % 2 else None), prompt, answers[i % 3], f"Yes, there is {i} on the table.")
        for i, prompt in enumerate(prompts)
    ]


def single_activations(tiny: LoadedModel, pair: Pair, response: str) -> dict[str, np.ndarray]:
    """Unpadded, through hidden_states: (layers but the last, hidden) for either policy."""
    images = [[chat.open_image(pair.image)] if pair.image else []]
    features, (start,) = chat.encode(tiny, [pair.prompt], images, [response])
    with torch.no_grad():
        states = torch.stack(tiny.model(**features, output_hidden_states=True).hidden_states[1:-1])[:, 0].double()
    return {"mean": states[:, start:].mean(1).numpy(), "last": states[:, -1].numpy()}


def test_equals_the_definition(tiny: LoadedModel, pairs: list[Pair]) -> None:
    found = estimate(tiny, pairs, batch_size=3)
    for policy in ("mean", "last"):
        safe = np.stack([single_activations(tiny, pair, pair.safe)[policy] for pair in pairs])
        unsafe = np.stack([single_activations(tiny, pair, pair.unsafe)[policy] for pair in pairs])
        shift = safe.mean(0) - unsafe.mean(0)
        unit = shift / np.linalg.norm(shift, axis=-1, keepdims=True)
        projected = [np.einsum("plh,lh->pl", a, unit) for a in (safe, unsafe)]
        sigma = np.concatenate(projected).std(0)
        pooled = np.sqrt((projected[0].var(0) + projected[1].var(0)) / 2)
        norms = np.linalg.norm(np.concatenate([safe, unsafe]), axis=-1).mean(0)
        vectors = found[policy]
        scale = np.abs(shift).max()
        assert np.abs(vectors.vectors[:-1].numpy() - shift).max() < 1e-5 * scale
        assert vectors.sigma[:-1].numpy() == pytest.approx(sigma, rel=1e-4)
        assert vectors.separation[:-1].numpy() == pytest.approx(
            (projected[0] - projected[1]).mean(0) / pooled, rel=1e-4
        )
        assert vectors.mean_norm[:-1].numpy() == pytest.approx(norms, rel=1e-5)
        assert vectors.vectors.dtype == torch.float32
        assert vectors.header["tokens"] == policy
        assert vectors.header["n_pairs"] == "5"
        assert vectors.header["fingerprint"] == tiny.fingerprint


def test_padding_side_and_batch_size_do_not_matter(tiny: LoadedModel, pairs: list[Pair]) -> None:
    seen: list[tuple[int, int]] = []
    right = estimate(tiny, pairs, batch_size=10, on_progress=lambda done, total: seen.append((done, total)))
    left = estimate(tiny, pairs, batch_size=10, side="left")
    single = estimate(tiny, pairs, batch_size=1)
    assert seen == [(10, 10)]
    for policy in ("mean", "last"):
        scale = right[policy].vectors.abs().max()
        assert (right[policy].vectors - left[policy].vectors).abs().max() < 1e-5 * scale
        assert (right[policy].vectors - single[policy].vectors).abs().max() < 1e-5 * scale


def test_merging_parts_is_exact() -> None:
    # Small integers: float64 sums of them have no rounding, so exact means equal.
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(-8, 9, (4, 30, 16), generator=generator).float()
    safe = torch.arange(30) % 2 == 0
    whole, first, second = (Sums.zeros(4, 16) for _ in range(3))
    whole.add(values, safe)
    first.add(values[:, :11], safe[:11])
    second.add(values[:, 11:], safe[11:])
    merged = first.merge(second)
    for name in ("count", "total", "moment"):
        assert torch.equal(getattr(merged, name), getattr(whole, name))
    assert torch.allclose(merged.norm, whole.norm, rtol=1e-14)
    assert torch.equal(merged.vector_set().vectors, whole.vector_set().vectors)
    assert torch.equal(merged.vector_set().sigma, whole.vector_set().sigma)


def test_classes_that_do_not_differ_give_zeros() -> None:
    sums = Sums.zeros(2, 4)
    sums.add(torch.ones(2, 6, 4), torch.arange(6) % 2 == 0)
    vectors = sums.vector_set()
    for value in (vectors.vectors, vectors.sigma, vectors.separation):
        assert not value.any()
    assert vectors.mean_norm.tolist() == [2.0, 2.0]


def test_bad_input(tiny: LoadedModel, pairs: list[Pair], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown token policy 'maen': did you mean 'mean'"):
        estimate(tiny, pairs, policies=["maen"])
    with pytest.raises(UserError, match="at least 2"):
        estimate(tiny, pairs[:1])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot read image .*broken\.png"):
        estimate(tiny, [pairs[0], Pair("x", broken, "p", "s", "u")])
