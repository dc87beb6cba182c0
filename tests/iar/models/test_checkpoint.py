from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, CLIPVisionConfig, Phi4MultimodalConfig

from iar.errors import UserError
from iar.models import LoadedModel, checkpoint, load, load_from
from iar.pipeline.experiment.settings import Extraction, compose, read
from iar.shipped import shipped

SETTINGS = {file.stem: OmegaConf.load(file) for file in (shipped("conf") / "model").glob("*.yaml")}
MODELS = sorted(name for name, settings in SETTINGS.items() if settings.get("kind") != "endpoint")
CLOSED = sorted(SETTINGS.keys() - set(MODELS))


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


def remote_code(folder: Path, tiny_folder: Path) -> Path:
    """A checkpoint whose config class is Python code of its own, which leaves a trace when it runs."""
    shutil.copytree(tiny_folder, folder)
    (folder / "own.py").write_text(
        "from pathlib import Path\n"
        "from transformers import LlavaConfig, LlavaForConditionalGeneration\n"
        f"Path({str(folder / 'trace')!r}).touch()\n"
        "class OwnConfig(LlavaConfig):\n    model_type = 'own_llava'\n"
        "class OwnModel(LlavaForConditionalGeneration):\n    config_class = OwnConfig\n"
    )
    config = json.loads((folder / "config.json").read_text()) | {
        "model_type": "own_llava",
        "architectures": ["OwnModel"],
    }
    config["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModelForImageTextToText": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")  # transformers' new names: it knows no old ones of a new family
    weights["lm_head.weight"] = weights.pop("language_model.lm_head.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("said", [False, None, "yes", 1])
def test_a_checkpoints_own_code_is_not_run(tiny_folder: Path, tmp_path: Path, said: Any) -> None:
    folder = remote_code(tmp_path / "own", tiny_folder)
    with pytest.raises(UserError, match=r"cannot load model .*custom code.*model.trust_remote_code=true") as error:
        load(folder, trust_remote_code=said)
    assert "\n" not in str(error.value)
    assert not (folder / "trace").exists()


def test_a_checkpoints_own_code_runs_when_it_is_trusted(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = remote_code(tmp_path / "own", tiny_folder)
    loaded = load(folder, trust_remote_code=True)
    assert (folder / "trace").exists()
    assert type(loaded.model).__name__ == "OwnModel"
    assert len(loaded.decoder) == 6


def test_the_mappings_choose_the_class() -> None:
    assert Phi4MultimodalConfig not in AutoModelForImageTextToText._model_mapping  # the case that needs the second
    assert checkpoint.class_of(Phi4MultimodalConfig(), trusted=False) is AutoModelForCausalLM
    with pytest.raises(ValueError, match="CLIPVisionConfig is neither an image-text-to-text nor a causal"):
        checkpoint.class_of(CLIPVisionConfig(), trusted=False)


OF_THE_PROMPT = ("max_new_tokens", "max_images", "reasoning_tokens")


@pytest.mark.parametrize("name", MODELS)
def test_every_model_configuration(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["model.name=folder", "model.path=DIR"] if name == "folder" else []
    cfg = read(Extraction, compose("extract", [f"model={name}", *own]))
    assert cfg.model.name == name
    defaults = OmegaConf.load(shipped("conf") / "model_defaults.yaml")
    given = set(cfg.model.to_dict())
    assert given - {"reasoning_tokens"} == {"name", "path", *defaults}
    asked: dict[str, Any] = {}
    here = SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32)
    monkeypatch.setattr(checkpoint, "load", lambda path, **options: asked.update(path=path, **options) or here)
    load_from(cfg.model)
    assert asked.pop("path") == cfg.model.path
    assert asked.pop("device") in ("cpu", "cuda")
    asked["gguf"] = asked.pop("gguf_file")
    assert asked == {key: getattr(cfg.model, key) for key in asked}
    assert set(asked) == given - {"name", "path", "device", *OF_THE_PROMPT}
    assert asked["trust_remote_code"] is False
    assert asked["template"] == ("llava_v0" if name.startswith(("vlguard", "spa-vl")) else None)


@pytest.mark.parametrize("name", CLOSED)
def test_a_model_at_an_endpoint_is_not_loaded(name: str) -> None:
    cfg = read(Extraction, compose("extract", [f"model={name}"]))
    assert cfg.model.name == name
    with pytest.raises(UserError, match=f"model {name} runs at an endpoint, where its activations are out of reach"):
        load_from(cfg.model)


def test_settings_reach_the_model(tiny_folder: Path) -> None:
    overrides = ["model=vlguard-7b", f"model.path={tiny_folder}", "model.attention=eager", "model.dtype=float16"]
    cfg = read(Extraction, compose("extract", [*overrides, "model.device=cpu"]))
    loaded = load_from(cfg.model)
    assert loaded.model.config._attn_implementation == "eager"
    assert loaded.model.dtype == torch.float16
    assert loaded.stop == ("###",)
    with pytest.raises(UserError, match=r"device_map=\{'': 'nowhere'\} needs|cannot load model .*nowhere"):
        load_from(cfg.model.replace(device_map={"": "nowhere"}))
