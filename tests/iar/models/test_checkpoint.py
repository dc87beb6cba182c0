from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from iar.errors import UserError
from iar.models import LoadedModel, load


def test_loads_for_inference(tiny: LoadedModel, tiny_folder: Path) -> None:
    assert (tiny.id, tiny.revision, tiny.dtype) == ("tiny-llava", "local", "float32")
    assert not tiny.model.training
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    assert load(tiny_folder, dtype="bfloat16").model.dtype == torch.bfloat16


def test_fingerprint_follows_content_not_place(
    tiny: LoadedModel, tiny_folder: Path, save_tiny_llava: Callable[..., Path], tmp_path: Path
) -> None:
    moved = shutil.copytree(tiny_folder, tmp_path / "tiny-llava")
    assert load(moved).fingerprint == tiny.fingerprint
    assert load(moved, dtype="float16").fingerprint != tiny.fingerprint
    (moved / "README.md").write_text("a card")
    assert load(moved).fingerprint == tiny.fingerprint
    other = save_tiny_llava(tmp_path / "other" / "tiny-llava", seed=1)
    assert load(other).config_digest == tiny.config_digest
    assert load(other).fingerprint != tiny.fingerprint


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "nowhere"])
def test_missing_folder(name: str) -> None:
    with pytest.raises(UserError, match=rf"no model folder {name}: give model.path=DIR"):
        load(name)


def test_folder_without_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config.json in .*model.path=DIR"):
        load(tmp_path)


def test_hub_id_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"cannot load model 'nobody/no-such-model'.*needs network.*model.path=DIR"
    ) as e:
        load("nobody/no-such-model")
    assert "\n" not in str(e.value)


def test_truncated_weights(tiny_folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"cannot load model .*broken"):
        load(broken)


def test_unknown_dtype_and_device(tiny_folder: Path) -> None:
    with pytest.raises(UserError, match="unknown dtype 'flaot16': did you mean 'float16'"):
        load(tiny_folder, dtype="flaot16")
    with pytest.raises(UserError, match="cannot use device 'gpu'"):
        load(tiny_folder, device="gpu")
