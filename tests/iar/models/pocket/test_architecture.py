from __future__ import annotations

import torch
from transformers import PreTrainedTokenizerFast

from iar.models.pocket import WEIGHTS, architecture


def test_deepening_splits_each_block_in_two_halves():
    torch.manual_seed(0)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(WEIGHTS)
    model = architecture.build(tokenizer, 4)
    with torch.no_grad():  # small steps, as Euler's method wants them
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight.mul_(0.05)
            layer.mlp.down_proj.weight.mul_(0.05)
    deeper = architecture.deepen(model, tokenizer)
    old, new = (m.model.language_model.layers for m in (model, deeper))
    assert (len(old), len(new)) == (4, 8) and deeper.config.text_config.num_hidden_layers == 8
    for i in range(4):
        for part, whole in (
            ("self_attn.q_proj", 2.0),
            ("mlp.up_proj", 2.0),
            ("self_attn.o_proj", 1.0),
            ("mlp.down_proj", 1.0),
        ):
            first, second, parent = (layer.get_submodule(part).weight for layer in (new[2 * i], new[2 * i + 1], old[i]))
            assert torch.allclose(first + second, whole * parent, atol=1e-6)  # opposite noise
            assert 0.4 < (first - second).norm() / first.norm() < 0.6  # SPLIT_NOISE, twice
    ids = torch.tensor([tokenizer.encode("USER: How do I use this item? ASSISTANT:")])
    with torch.no_grad():
        before, after = (m.eval()(input_ids=ids).logits for m in (model, deeper))
    assert (after - before).abs().max() < 0.1 * before.std()  # half the step twice is nearly the whole step


def test_it_has_32_layers_and_few_parameters():
    model = architecture.build(PreTrainedTokenizerFast.from_pretrained(WEIGHTS))
    assert len(model.model.language_model.layers) == 32
    assert sum(p.numel() for p in model.parameters()) < 3e6
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight


def test_a_text_falls_back_to_bytes():
    tokenizer = PreTrainedTokenizerFast.from_pretrained(WEIGHTS)
    for text in ("Zürich, 深圳 and a knife", "USER: hi"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
