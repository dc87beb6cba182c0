from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import iar
from iar.errors import UserError
from iar.models import LoadedModel, chat
from iar.revision.image_attack import perturb
from iar.vectors import VectorSet

PROMPT, TARGET = "Is there a spoon?", "Yes, there is a red spoon."


def loss(loaded: LoadedModel, picture: Image.Image, length: int | None = None) -> float:
    """Mean nats a token of the target, by a plain pass over the file's pixels."""
    features, (start,) = chat.encode(loaded, [PROMPT], [[picture]], [TARGET], side="right")
    with torch.no_grad():
        logits = loaded.model(**features).logits[0]
    wanted = features["input_ids"][0, start:]
    return float(torch.nn.functional.cross_entropy(logits[start - 1 : -1], wanted))


def test_the_target_becomes_likelier_within_the_limit(tiny: LoadedModel, images: list[Path]) -> None:
    picture = chat.open_image(images[0])
    found = perturb(tiny, PROMPT, picture, [TARGET], steps=6)
    again = perturb(tiny, PROMPT, picture, [TARGET], steps=6)
    assert np.array_equal(np.asarray(found.picture), np.asarray(again.picture))
    as_it_is = perturb(tiny, PROMPT, picture, [TARGET], steps=0)
    assert found.after < found.before == as_it_is.before == as_it_is.after
    assert loss(tiny, found.picture) == pytest.approx(found.after, abs=1e-3)  # of the file itself
    changed = np.abs(np.asarray(found.picture).astype(int) - np.asarray(as_it_is.picture).astype(int))
    assert 0 < changed.max() <= 6 and not any(p.grad is not None for p in tiny.model.parameters())
    most = perturb(tiny, PROMPT, picture, [TARGET], steps=6, epsilon=2 / 255).picture
    assert np.abs(np.asarray(most).astype(int) - np.asarray(as_it_is.picture).astype(int)).max() == 2


def test_an_attacker_who_knows_the_vector_attacks_the_steered_model(tiny: LoadedModel, images: list[Path]) -> None:
    layers = torch.randn(6, 32, generator=torch.Generator().manual_seed(2)) * 4
    vectors = VectorSet(layers, *[torch.ones(6)] * 4, header={})
    known = partial(iar.revise, tiny, vectors, layers=2, strength=1.5)
    revised = lambda length: known(prompt_length=length)  # noqa: E731
    picture = chat.open_image(images[0])
    unaware = perturb(tiny, PROMPT, picture, [TARGET], steps=6).picture
    found = perturb(tiny, PROMPT, picture, [TARGET], steps=6, revised=revised)
    _, (length,) = chat.encode(tiny, [PROMPT], [[picture]])
    with known(prompt_length=length):
        assert loss(tiny, found.picture) == pytest.approx(found.after, abs=1e-3)
        assert found.after < found.before and found.after < loss(tiny, unaware)


def test_what_cannot_be_attacked(tiny: LoadedModel, images: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    picture = chat.open_image(images[0])
    with pytest.raises(UserError, match="at least one target"):
        perturb(tiny, PROMPT, picture, [])
    monkeypatch.setattr(tiny.processor.image_processor, "do_normalize", False)
    monkeypatch.setattr(tiny.processor.image_processor, "image_mean", None)
    with pytest.raises(UserError, match="does not say how it normalises pictures"):
        perturb(tiny, PROMPT, picture, [TARGET])
