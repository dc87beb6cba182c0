"""A bias-only adapter, read by PEFT, is the hook to 1e-5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import iar
from iar.errors import UserError
from iar.export import adapter
from iar.models import LoadedModel, load
from iar.revision import Configuration
from iar.vectors import VectorSet

peft = pytest.importorskip("peft", reason="needs pip install 'iar[export]'")
EVERYWHERE = Configuration("iar", (1,), 2.0, positions="all")


@pytest.mark.parametrize("kind", ["llama", "qwen2", "granite"])
def test_it_is_the_hook(
    kind: str,
    text_model: Callable[[str], LoadedModel],
    vectors_of: Callable[[LoadedModel], VectorSet],
    tmp_path: Path,
) -> None:
    loaded = text_model(kind)
    vectors = vectors_of(loaded)
    names = [name for name, _ in loaded.model.named_modules()]
    compared = adapter.write(loaded, vectors, EVERYWHERE, tmp_path / "adapter")
    assert compared.equal == compared.texts == 4
    assert [name for name, _ in loaded.model.named_modules()] == names
    held = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert sum(tensor.numel() * 4 for tensor in held.values()) < 1024  # of one block
    assert all(not held[name].any() for name in held if not name.endswith("bias"))
    ids = torch.randint(3, 200, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = loaded.model(ids).logits
        with iar.revise(loaded, vectors, layers=1, strength=2.0, positions="all"):
            wanted = loaded.model(ids).logits
            base = load(loaded.folder).model
        found = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")(ids).logits
    assert torch.allclose(found, wanted, atol=1e-5, rtol=1e-5)
    assert (plain - wanted).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["gemma2", "gemma3_text"])
def test_refused_where_a_norm_follows(
    kind: str,
    text_model: Callable[[str], LoadedModel],
    vectors_of: Callable[[LoadedModel], VectorSet],
    tmp_path: Path,
) -> None:
    loaded = text_model(kind)
    with pytest.raises(UserError, match="no bias can steer block 1"):
        adapter.write(loaded, vectors_of(loaded), EVERYWHERE, tmp_path / "adapter")
    assert not list(tmp_path.iterdir())


def test_without_the_package(tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    nothing: Any = None
    with pytest.raises(UserError, match=r"pip install 'iar\[export\]'"):
        adapter.write(tiny, nothing, EVERYWHERE, tmp_path / "adapter")
