"""Tiny judges whose replies are set by hand: a word in what they read decides what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

GUARD_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] | trim }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|judge|>{% endif %}"
)
SPECIAL = ("<pad>", "<eos>", "<unk>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|sep|>", "<|judge|>")


def save_tiny_judge(
    folder: Path,
    replies: Mapping[str, str],
    otherwise: str,
    *,
    template: str | None = GUARD_TEMPLATE,
    window: int = 4096,
    classes: bool = False,
) -> Path:
    """Save a Llama of one layer.

    Its attention averages over all it reads, so each word that it knows leaves a trace in a dimension of its own; the
    head turns the trace of the last word of ``replies`` that occurs into its reply, and every reply into the end. With
    ``classes`` it is a classifier, of which ``otherwise`` and ``replies`` are the classes.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        LlamaForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    words, said = list(replies), list(dict.fromkeys([otherwise, *replies.values()]))
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys([*SPECIAL, *words, *said]))}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if classes:
        backend.post_processor = processors.TemplateProcessing(
            single="$A <|judge|>",
            pair="$A <|sep|> $B <|judge|>",
            special_tokens=[(name, vocabulary[name]) for name in ("<|judge|>", "<|sep|>")],
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[3:]),
    )
    tokenizer.chat_template = template
    size = 2 * ((len(words) + 3) // 2)
    asked, done = len(words), len(words) + 1  # the dimensions of the turn's beginning and of a reply
    options: dict[str, Any] = {"id2label": dict(enumerate(said))} if classes else {}
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=size,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=window,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        tie_word_embeddings=False,
        **options,
    )
    model: Any = (LlamaForSequenceClassification if classes else LlamaForCausalLM)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if "norm" in name else 0.0)
        layer = model.model.layers[0].self_attn
        for number in range(len(words)):
            layer.v_proj.weight[number, number] = layer.o_proj.weight[number, number] = 1.0
        for number, word in enumerate(words):
            model.model.embed_tokens.weight[vocabulary[word], number] = 1.0
        model.model.embed_tokens.weight[vocabulary["<|judge|>"], asked] = 1.0
        head = model.score if classes else model.lm_head
        row = said.index if classes else vocabulary.__getitem__
        head.weight[row(otherwise), asked] = 1.0
        for number, word in enumerate(words):
            head.weight[row(replies[word]), number] = 1e4 * 10**number
        if not classes:
            for text in said:
                model.model.embed_tokens.weight[vocabulary[text], done] = 1.0
            head.weight[1, done] = 1e12
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
