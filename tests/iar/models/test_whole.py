from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, LlamaConfig, LlamaForCausalLM

from iar.errors import UserError
from iar.models import load, whole

Weights = dict[str, Tensor]


@pytest.fixture
def changed(tiny_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """The tiny model with other weights, or another number of blocks in its config."""

    def change(make: Callable[[Weights], Weights], blocks: int = 6) -> Path:
        folder = shutil.copytree(tiny_folder, tmp_path / "changed")
        save_file(make(load_file(folder / "model.safetensors")), folder / "model.safetensors", {"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config["text_config"]["num_hidden_layers"] = blocks
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return change


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("layers.4.self_attn.v_proj", "model.language_model.layers.4.self_attn.v_proj.weight"),
        ("layers.3.input_layernorm", "model.language_model.layers.3.input_layernorm.weight"),
        ("embed_tokens", "model.language_model.embed_tokens.weight"),
        ("multi_modal_projector.linear_1.bias", "model.multi_modal_projector.linear_1.bias"),
        ("class_embedding", "model.vision_tower.embeddings.class_embedding"),
    ],
)
def test_missing_weights(changed: Callable[..., Path], part: str, named: str) -> None:
    folder = changed(lambda weights: {name: value for name, value in weights.items() if part not in name})
    assert refusal(folder) == f"{folder} lacks weights: {named}"


def test_many_missing_weights_are_counted(changed: Callable[..., Path]) -> None:
    """A config that counts more blocks than lie there."""
    said = refusal(changed(dict, blocks=8))
    assert "lacks weights: model.language_model.layers.6.input_layernorm.weight, " in said
    assert said.endswith(" and 13 more")  # nine in each of two blocks


def test_blocks_that_the_config_does_not_count(changed: Callable[..., Path]) -> None:
    said = refusal(changed(dict, blocks=5))
    assert "has blocks that its config does not count: " in said and "layers.5.input_layernorm.weight" in said


def test_an_adapter_that_is_not_merged(changed: Callable[..., Path]) -> None:
    folder = changed(lambda weights: weights | {"model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(2, 32)})
    assert "adapter that is not merged: model.layers.0.self_attn.q_proj.lora_A.weight" in refusal(folder)


def test_another_shape(changed: Callable[..., Path]) -> None:
    def cut(weights: Weights) -> Weights:
        return {n: v[:-1].clone() if n.endswith("model.norm.weight") else v for n, v in weights.items()}

    assert "of another shape than its config says: model.language_model.norm.weight" in refusal(changed(cut))


def test_what_is_left_over_elsewhere_is_let_be(changed: Callable[..., Path]) -> None:
    """Old buffers and heads that the class has no place for are in many published checkpoints."""
    extra = {"language_model.model.rotary_emb.inv_freq": torch.ones(4), "value_head.weight": torch.ones(1, 32)}
    extra |= {"vision_tower.vision_model.embeddings.position_ids": torch.arange(5)[None]}
    assert len(load(changed(lambda weights: weights | extra)).decoder) == 6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("where", ["layers.2.mlp.up_proj.weight", "patch_embedding.weight", "norm.weight"])
def test_weights_that_are_not_finite(changed: Callable[..., Path], value: float, where: str) -> None:
    def spoil(weights: Weights) -> Weights:
        name = next(name for name in weights if name.endswith(where))
        weights[name].flatten()[-1] = value
        return weights

    said = refusal(changed(spoil))
    assert "has weights that hold NaN or infinity: model." in said and where in said


def test_weights_beyond_the_dtype(changed: Callable[..., Path]) -> None:
    folder = changed(lambda weights: {n: v * 1e6 if n.endswith("lm_head.weight") else v for n, v in weights.items()})
    assert "lm_head.weight (values beyond float16" in refusal(folder, dtype="float16")
    load(folder, dtype="bfloat16")


def test_a_sum_that_overflows_is_no_infinity() -> None:
    layer = torch.nn.Linear(4, 4, bias=False)
    torch.nn.init.constant_(layer.weight, 3e38)
    whole.check_values(layer, "here", "float32")


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_weights_in_whole_numbers(changed: Callable[..., Path], dtype: torch.dtype) -> None:
    def whole_numbers(weights: Weights) -> Weights:
        return {n: (v * 100).to(dtype) if "layers.1.mlp" in n else v for n, v in weights.items()}

    folder = changed(whole_numbers)
    assert "weights in whole numbers" in refusal(folder) and "layers.1.mlp.down_proj.weight" in refusal(folder)


def test_weights_in_whole_numbers_in_a_bin_file(changed: Callable[..., Path]) -> None:
    folder = changed(lambda weights: weights)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    load(folder)
    torch.save(
        {n: v.to(torch.int32) if "lm_head" in n else v for n, v in weights.items()}, folder / "pytorch_model.bin"
    )
    assert "weights in whole numbers" in refusal(folder)


class Acts:
    """Leaves a trace when a pickle of it is loaded with its code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch", "pickle", "text", "empty"])
def test_code_in_a_bin_file(tiny_folder: Path, tmp_path: Path, how: str) -> None:
    folder, trace = shutil.copytree(tiny_folder, tmp_path / "code"), tmp_path / "trace"
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    if how == "torch":
        torch.save({"a": Acts(trace)}, file)
    else:
        file.write_bytes({"pickle": pickle.dumps(Acts(trace)), "text": b"hello", "empty": b""}[how])
    assert "pytorch_model.bin" in refusal(folder) and not trace.exists()


def test_tied_weights_may_be_absent(tiny_folder: Path, tmp_path: Path) -> None:
    sizes: dict[str, Any] = dict(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, vocab_size=64
    )
    for tied in (True, False):
        folder = tmp_path / str(tied)
        LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=tied)).save_pretrained(folder)
        weights = load_file(folder / "model.safetensors")
        assert ("lm_head.weight" in weights) is not tied
        weights.pop("lm_head.weight", None)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        if tied:
            whole.load_whole(LlamaForCausalLM.from_pretrained, "m", pretrained_model_name_or_path=folder)
        else:
            with pytest.raises(UserError, match=r"m lacks weights: lm_head\.weight"):
                whole.load_whole(LlamaForCausalLM.from_pretrained, "m", pretrained_model_name_or_path=folder)


NAMES = ("llava_next", "internvl", "qwen2_5_vl", "gemma3", "paligemma", "idefics3", "mllama", "mistral3", "aya_vision")
MORE = ("glm4v", "janus", "deepseek_vl_hybrid", "gpt2", "opt", "deepseek_v3", "qwen3_5_text")


@pytest.mark.parametrize("name", NAMES + MORE)
def test_families_as_they_are_saved_are_whole(
    families: ModuleType, save_family: Any, build_family: Any, tmp_path: Path, name: str
) -> None:
    """Saved as its authors would, a family is read; without one of its weights it is refused."""
    folder = save_family(name, tmp_path / name)
    model = build_family(name, folder)
    model.save_pretrained(folder)
    auto: Any = AutoModelForImageTextToText if families.FAMILIES[name].processor else AutoModelForCausalLM
    options = {"pretrained_model_name_or_path": folder, "dtype": torch.float32}
    read = whole.load_whole(auto.from_pretrained, name, **options)
    whole.check_values(read, name, "float32")
    whole.check_types(read, folder)
    weights = load_file(folder / "model.safetensors")
    gone = next(key for key in weights if "1." in key and key.endswith("weight"))
    save_file(
        {key: value for key, value in weights.items() if key != gone}, folder / "model.safetensors", {"format": "pt"}
    )
    verbosity = transformers.logging.get_verbosity()
    with pytest.raises(UserError, match="lacks weights"):
        whole.load_whole(auto.from_pretrained, name, **options)
    assert transformers.logging.get_verbosity() == verbosity
