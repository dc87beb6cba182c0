from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForSeq2SeqLM

from iar.errors import UserError
from iar.models import LoadedModel, decoder_of, load


def test_finds_the_text_blocks(tiny: LoadedModel) -> None:
    assert tiny.decoder.path == "model.language_model.layers"
    assert tiny.decoder.layers is tiny.model.model.language_model.layers
    assert (len(tiny.decoder), tiny.decoder.hidden_size) == (6, 32)


def test_a_deeper_vision_tower_is_not_taken(save_tiny_llava: Callable[..., Path], tmp_path: Path) -> None:
    loaded = load(save_tiny_llava(tmp_path / "deep", text_layers=3, vision_layers=7))
    assert loaded.decoder.layers is loaded.model.model.language_model.layers
    assert len(loaded.decoder) == 3


def test_a_list_of_another_length_is_refused_and_named(tiny_folder: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_folder)
    model.config.text_config.num_hidden_layers = 5
    with pytest.raises(UserError, match=r"model\.language_model\.layers .* has 6 blocks, but the text config says 5"):
        decoder_of(model)


def test_no_list_at_all_is_refused(tiny_folder: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_folder)
    del model.model.language_model.layers
    with pytest.raises(UserError, match=r"no decoder blocks in .*LlamaModel: .* layers, h, layer"):
        decoder_of(model)


def test_heads(tiny: LoadedModel) -> None:
    decoder = tiny.decoder
    assert decoder.projections == tuple(layer.self_attn.o_proj for layer in decoder.layers)
    assert (decoder.heads, decoder.head_size, decoder.heads_problem) == (4, 8, "")
    decoder.require_heads()


class Packed(nn.Module):
    """Stands for a quantised or adapted linear module: it has the widths, but no nn.Linear's weight."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features, self.base_layer = inner.in_features, inner.out_features, inner


def llama(**changes: Any) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", vocab_size=64, **sizes | changes))


def test_a_packed_linear_module_is_taken_whole() -> None:
    model = llama()
    for layer in model.model.layers:
        for name in ("q_proj", "o_proj"):
            setattr(layer.self_attn, name, Packed(getattr(layer.self_attn, name)))
    decoder = decoder_of(model.to(torch.bfloat16))
    assert decoder.projections == tuple(layer.self_attn.o_proj for layer in model.model.layers)
    assert (decoder.heads, decoder.head_size) == (4, 8)


def test_an_input_projection_of_the_same_shape_is_not_taken() -> None:
    model = llama()
    for layer in model.model.layers:  # queries last, as some families define them
        queries = layer.self_attn.q_proj
        del layer.self_attn.q_proj
        layer.self_attn.q_proj = queries
    assert decoder_of(model).projections == tuple(layer.self_attn.o_proj for layer in model.model.layers)


def narrow(model: Any) -> None:
    model.model.layers[1].self_attn.o_proj = nn.Linear(16, 32)


def silence(model: Any) -> None:
    for layer in model.model.layers:
        layer.self_attn = nn.Identity()


def recount(model: Any) -> None:
    model.config.num_attention_heads = 5


def mix(model: Any) -> None:
    class PerLayer(SimpleNamespace):
        """As transformers' heterogeneous configs do it."""

        @property
        def num_attention_heads(self) -> int:
            raise RuntimeError("a per-layer attribute")

    text = PerLayer(is_encoder_decoder=False, num_hidden_layers=3, hidden_size=32)
    model.config = SimpleNamespace(is_encoder_decoder=False, get_text_config=lambda decoder: text)


def regroup(model: Any) -> None:
    for layer in model.model.layers:
        layer.self_attn.head_dim = 16


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (narrow, r"projections differ in width: 16, 32"),
        (silence, r"no attention ends in a linear module that gives 32 values"),
        (recount, r"take 32 values, which do not divide into the num_attention_heads = 5 of LlamaConfig"),
        (mix, r"take 32 values, which do not divide into the num_attention_heads = None of PerLayer"),
        (regroup, r"take 32 values for 4 heads, but LlamaAttention says that a head has 16"),
    ],
)
def test_blocks_without_heads_are_still_blocks(change: Callable[[Any], None], problem: str) -> None:
    model = llama()
    change(model)
    decoder = decoder_of(model)
    assert decoder.layers is model.model.layers
    assert decoder.projections == (None, None, None)
    assert (decoder.heads, decoder.head_size) == (0, 0)
    where = r"this model has no heads to steer: in model\.layers \(LlamaDecoderLayer\) .*"
    with pytest.raises(UserError, match=where + problem + r" \(use the layer level\)"):
        decoder.require_heads()


def test_a_model_without_attention() -> None:
    config = AutoConfig.for_model("mamba", hidden_size=32, num_hidden_layers=2, vocab_size=64, state_size=4)
    decoder = decoder_of(AutoModelForCausalLM.from_config(config))
    assert (decoder.path, len(decoder), decoder.projections) == ("backbone.layers", 2, (None, None))
    with pytest.raises(UserError, match=r"in backbone\.layers \(MambaBlock\) no attention"):
        decoder.require_heads()


def test_no_decoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    monkeypatch.setattr(type(model), "get_decoder", lambda self: None)
    with pytest.raises(UserError, match=r"no text decoder in LlamaForCausalLM: get_decoder\(\) gives None"):
        decoder_of(model)
    bare = nn.Module()
    bare.config = model.config
    with pytest.raises(UserError, match="no text decoder in Module"):
        decoder_of(bare)  # type: ignore[arg-type]


def test_an_encoder_decoder_is_refused() -> None:
    small = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 64}
    t5 = AutoConfig.for_model("t5", **small)
    with torch.device("meta"):
        alone = AutoModelForSeq2SeqLM.from_config(t5)
        size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
        parts = {"vision_config": size, "qformer_config": size | {"encoder_hidden_size": 32}}
        config = AutoConfig.for_model("blip-2", text_config=t5.to_dict(), **parts)
        blip = AutoModelForImageTextToText.from_config(config)
    for model in (alone, blip):
        with pytest.raises(UserError, match=rf"{type(model).__name__} with a t5 text model is an encoder-decoder"):
            decoder_of(model)


def test_a_config_that_says_too_little_is_refused() -> None:
    model = llama()
    text = SimpleNamespace(is_encoder_decoder=False, hidden_size=32)
    model.config = SimpleNamespace(is_encoder_decoder=False, get_text_config=lambda decoder: text)
    with pytest.raises(UserError, match=r"text config of LlamaForCausalLM \(SimpleNamespace\) .* num_hidden_layers"):
        decoder_of(model)

    def several(decoder: bool) -> Any:
        raise ValueError("Multiple valid text configs")

    model.config.get_text_config = several
    with pytest.raises(UserError, match="no single text config in LlamaForCausalLM: Multiple"):
        decoder_of(model)


@pytest.mark.parametrize("places", [(0, 1), (0, 2), (1, 2)])
def test_a_block_that_stands_twice_is_refused(places: tuple[int, int]) -> None:
    model = llama()
    model.model.layers[places[1]] = model.model.layers[places[0]]
    with pytest.raises(UserError, match=rf"model\.layers .* one block at the places {places[0]} and {places[1]}"):
        decoder_of(model)


def test_blocks_that_share_their_attention_have_no_heads() -> None:
    """Steering a head of one would steer the other's; the blocks themselves are two."""
    model = llama()
    model.model.layers[2].self_attn = model.model.layers[0].self_attn
    decoder = decoder_of(model)
    assert len(decoder) == 3
    with pytest.raises(UserError, match="blocks 0 and 2 share their attention output projection"):
        decoder.require_heads()


def test_blocks_that_share_weights_are_two_blocks() -> None:
    model = llama()
    model.model.layers[1].mlp.up_proj.weight = model.model.layers[0].mlp.up_proj.weight
    assert len(decoder_of(model)) == 3
