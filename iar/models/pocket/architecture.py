"""The pocket VLM's parts: tokenizer, processor, and a LLaVA with 32 narrow decoder layers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from benchmark.pocket.scenes import SIZE

PATCH = 16
IMAGE_TOKENS = (SIZE // PATCH) ** 2
LAYERS = 32
HIDDEN = 64
SPLIT_NOISE = 0.25
ROPE_BASE = 100.0  # texts are short: more of the few frequencies tell neighbours apart

CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{% if m['role'] == 'assistant' %} ASSISTANT: {% else %}{{ m['role'].upper() }}:{% endif %}"
    "{% if m['content'] is string %}{% if m['role'] != 'assistant' %} {% endif %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% if m['role'] != 'assistant' %} {% endif %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{% if m['role'] == 'assistant' %}</s>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def train_tokenizer(texts: Iterable[str], phrases: Iterable[str], vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer. `phrases` (fixed prompt suffixes, option marks) become one token each, which makes
    the sequences a third shorter; every other text falls back to words and bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken("USER:"), AddedToken("ASSISTANT:", lstrip=True, normalized=False)])
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_max_length=512,
    )


def make_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    images = CLIPImageProcessorPil(
        size={"shortest_edge": SIZE},
        crop_size={"height": SIZE, "width": SIZE},
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
    )
    return LlavaProcessor(
        images,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        chat_template=CHAT_TEMPLATE,
        num_additional_image_tokens=1,
    )


def build(tokenizer: PreTrainedTokenizerFast, layers: int = LAYERS) -> LlavaForConditionalGeneration:
    """An untrained pocket VLM."""
    vision = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
        projection_dim=64,
        hidden_act="gelu",
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=176,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_BASE},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision,
            text_config=text,
            image_token_index=tokenizer.get_vocab()["<image>"],
            vision_feature_layer=-1,
            vision_feature_select_strategy="default",
            image_seq_length=IMAGE_TOKENS,
            tie_word_embeddings=True,
        )
    )
    _initialise(model, layers)
    return model


@torch.no_grad()
def _initialise(model: LlavaForConditionalGeneration, layers: int) -> None:
    for name, weight in model.named_parameters():
        if weight.ndim != 2:
            continue
        std = 1 / math.sqrt(weight.shape[1])
        if "embed_tokens" in name:
            std = 0.05
        elif "language_model" in name and name.endswith(("o_proj.weight", "down_proj.weight")):
            std *= 0.3 / math.sqrt(2 * layers)
        elif "vision_tower" in name:
            if "embedding" in name:
                continue
            std *= 0.3 if name.endswith(("out_proj.weight", "fc2.weight")) else 1
        elif "multi_modal_projector" in name and "linear_2" in name:
            std *= 0.1
        weight.normal_(0, std)


@torch.no_grad()
def deepen(model: Any, tokenizer: PreTrainedTokenizerFast) -> Any:
    """The model at twice the depth: each block becomes two blocks of half its output.

    A residual network is Euler's method for an ODE, and this halves its step (Chang et al. 2018, multi-level residual
    networks, arXiv 1710.10348). So every block keeps an equal share of the work and all go on learning; blocks inserted
    as identities stay idle copies. The two halves get opposite noise, SPLIT_NOISE of a matrix's own spread: they are
    different blocks from then on, and what they add together changes only in second order.
    """
    deeper: Any = build(tokenizer, 2 * model.config.text_config.num_hidden_layers).to(model.device)
    old = dict(model.named_parameters())
    for name, weight in deeper.named_parameters():
        head, mark, tail = name.partition("language_model.layers.")
        if not mark:
            weight.copy_(old[name])
            continue
        index, _, part = tail.partition(".")
        half = 0.5 if part in ("self_attn.o_proj.weight", "mlp.down_proj.weight") else 1.0
        parent = f"{mark}{int(index) // 2}.{part}"
        weight.copy_(half * old[head + parent])
        if weight.ndim == 2:
            # The same noise for both halves, on every worker: drawn from the parent's name.
            generator = torch.Generator().manual_seed(zlib.crc32(f"{len(old)}/{parent}".encode()))
            noise = torch.randn(weight.shape, generator=generator).to(weight.device)
            weight.add_(noise, alpha=SPLIT_NOISE * float(weight.std()) * (1 - 2 * (int(index) % 2)))
    return deeper
