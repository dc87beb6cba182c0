"""What the tests of exports share: tiny random text models of several classes, vectors of any model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from iar.models import LoadedModel
from iar.vectors import VectorSet

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 3}
SIZES |= {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
OWN = {
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "gpt2": {"n_inner": 64},
    "gemma2": {"sliding_window": 8},
    "gemma3_text": {"sliding_window": 8},
    "granite": {"residual_multiplier": 0.22},
}


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Callable[[str], LoadedModel]:
    """A random model of a class by its model type, saved and loaded; its greedy answers vary from token to token."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

    from iar.models import load

    made: dict[str, LoadedModel] = {}

    def make(kind: str) -> LoadedModel:
        if kind not in made:
            folder = tmp_path_factory.mktemp("models") / kind
            words = AutoTokenizer.from_pretrained(tiny_folder).backend_tokenizer
            special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **special)  # type: ignore[arg-type]
            sizes = SIZES | {"vocab_size": len(tokenizer)} | OWN.get(kind, {})
            torch.manual_seed(0)
            model: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes))
            for parameter in model.parameters():
                if parameter.ndim >= 2:
                    torch.nn.init.normal_(parameter, 0, 0.2)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            made[kind] = load(folder)
        return made[kind]

    return make


@pytest.fixture(scope="session")
def vectors_of() -> Callable[[LoadedModel], VectorSet]:
    """Random vectors of a model's, with its header; sigma 0.5 + layer, mean norm 4 + layer."""
    from iar.vectors.header import header

    def make(loaded: LoadedModel) -> VectorSet:
        layers = len(loaded.decoder)
        drawn = torch.randn(layers, loaded.decoder.hidden_size, generator=torch.Generator().manual_seed(1))
        ones = torch.ones(layers)
        places = torch.arange(layers)
        return VectorSet(drawn, places + 4.0, places + 0.5, ones, ones, header=header(loaded, []))

    return make
