"""A folded checkpoint answers as hooks do, or there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard

import iar
from iar.errors import UserError
from iar.export import folded
from iar.models import LoadedModel, chat, load
from iar.revision import Configuration
from iar.vectors import VectorSet, digest, file

EVERYWHERE = Configuration("iar", (1, 2), 2.0, positions="all")


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(ids).logits
    return found


@pytest.mark.parametrize("kind", ["llama", "opt", "granite"])
def test_read_again_it_is_the_hook(
    kind: str,
    text_model: Callable[[str], LoadedModel],
    vectors_of: Callable[[LoadedModel], VectorSet],
    tmp_path: Path,
) -> None:
    loaded = text_model(kind)
    vectors = vectors_of(loaded)
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    compared = folded.write(loaded, vectors, EVERYWHERE, tmp_path / "steered")
    assert compared.holds and compared.equal == compared.texts == 4
    after = loaded.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    again = load(tmp_path / "steered")
    ids = torch.randint(3, 200, (2, 9), generator=torch.Generator().manual_seed(0))
    with iar.revise(loaded, vectors, layers=[1, 2], strength=2.0, positions="all"):
        wanted = logits(loaded.model, ids)
    assert torch.allclose(logits(again.model, ids), wanted, atol=1e-4, rtol=1e-5)
    assert (wanted - logits(loaded.model, ids)).abs().max() > 0.1
    assert not list(tmp_path.glob(".*"))


def test_a_vision_language_model(
    tiny: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet], images: list[Path], tmp_path: Path
) -> None:
    vectors = vectors_of(tiny)
    config = tiny.model.config.to_dict()
    folded.write(tiny, vectors, EVERYWHERE, tmp_path / "steered")
    assert tiny.model.config.to_dict() == config
    again = load(tmp_path / "steered")
    features = chat.encode(tiny, ["Is there a spoon?", "hello"], [[chat.open_image(images[0])], []])[0]
    asked: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False}
    with iar.revise(tiny, vectors, layers=[1, 2], strength=2.0, positions="all"):
        wanted = tiny.model.generate(**features, **asked)
    assert torch.equal(again.model.generate(**features, **asked), wanted)
    assert not torch.equal(tiny.model.generate(**features, **asked), wanted)
    # It says what it is, and vectors of the model itself are refused on it.
    said = json.loads((tmp_path / "steered/config.json").read_text())["iar"]
    assert said["settings"]["layers"] == [1, 2] and said["settings"]["positions"] == "all"
    assert (said["vectors_sha256"], said["fingerprint"]) == (digest(vectors), tiny.fingerprint)
    card = ModelCard.load(tmp_path / "steered/README.md")
    assert card.data.tags == ["activation-steering", "steering-vector"] and "iar-L1+2-x2-all" in card.text
    file.write(tmp_path / "v.safetensors", vectors)
    with pytest.raises(UserError, match="was made with model"):
        file.read(tmp_path / "v.safetensors", again)


def test_a_class_that_drops_the_bias_is_refused(
    text_model: Callable[[str], LoadedModel], vectors_of: Callable[[LoadedModel], VectorSet], tmp_path: Path
) -> None:
    """It loads without an error, and is the unsteered model bit for bit."""
    loaded = text_model("qwen2")
    with pytest.raises(UserError, match=r"does not keep the bias.*take python -m iar\.export peft"):
        folded.write(loaded, vectors_of(loaded), EVERYWHERE, tmp_path / "steered")
    assert not list(tmp_path.iterdir())


def test_other_refusals_leave_nothing(
    tiny: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet], tmp_path: Path
) -> None:
    vectors = vectors_of(tiny)
    with pytest.raises(UserError, match="positions=last"):
        folded.write(tiny, vectors, Configuration("iar", (1,), 1.0), tmp_path / "steered")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="mine exists already"):
        folded.write(tiny, vectors, EVERYWHERE, tmp_path / "mine")
