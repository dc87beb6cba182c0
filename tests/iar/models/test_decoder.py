from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoModelForImageTextToText

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


@pytest.mark.parametrize(("model_type", "path"), [("blip-2", "decoder.layers"), ("idefics3", "text_model.layers")])
def test_other_families(model_type: str, path: str) -> None:
    config = AutoConfig.for_model(model_type)
    small = {"num_hidden_layers": 3, "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 64}
    text = config.get_text_config(decoder=True)
    extra = {"num_key_value_heads": 4, "intermediate_size": 64, "ffn_dim": 64, "word_embed_proj_dim": 32}
    for name, value in (small | extra | {"pad_token_id": 0}).items():
        setattr(text, name, value)
    for part in ("vision_config", "qformer_config"):
        for name, value in (small | {"intermediate_size": 64}).items():
            if hasattr(config, part):
                setattr(getattr(config, part), name, value)
    decoder = decoder_of(AutoModelForImageTextToText.from_config(config))
    assert decoder.path.endswith(path)
    assert (len(decoder), decoder.hidden_size) == (3, 32)
