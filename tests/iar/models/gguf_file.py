"""Writes a tiny random Llama as a GGUF file, tokenizer and chat template included, as llama.cpp's converter would."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from transformers.convert_slow_tokenizer import bytes_to_unicode

HIDDEN, BLOCKS, HEADS, INNER = 64, 2, 4, 96
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] + ': ' + m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def write_gguf(file: Path, quant: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q8_0) -> dict[str, np.ndarray]:
    """Write the file.

    Returns:
        Name in the file -> what its quantised blocks stand for, float32.
    """
    tokens = ["<unk>", "<s>", "</s>", *bytes_to_unicode().values(), "th"]
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_block_count(BLOCKS)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(tokens) - 3))
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (len(tokens), HIDDEN), "output_norm": (HIDDEN,)}
    for block in range(BLOCKS):
        shapes |= {f"blk.{block}.{name}": (HIDDEN,) for name in ("attn_norm", "ffn_norm")}
        shapes |= {f"blk.{block}.{name}": (HIDDEN, HIDDEN) for name in ("attn_q", "attn_output")}
        shapes |= {f"blk.{block}.{name}": (HIDDEN // 2, HIDDEN) for name in ("attn_k", "attn_v")}
        shapes |= {f"blk.{block}.{name}": (INNER, HIDDEN) for name in ("ffn_gate", "ffn_up")}
        shapes[f"blk.{block}.ffn_down"] = (HIDDEN, INNER)
    rng, held = np.random.default_rng(0), {}
    for name, shape in shapes.items():
        value = rng.standard_normal(shape).astype(np.float32) * np.float32(0.1)
        if len(shape) == 1:
            value += 1
            writer.add_tensor(f"{name}.weight", value)
        else:
            packed = gguf.quants.quantize(value, quant)
            writer.add_tensor(f"{name}.weight", packed, raw_dtype=quant)
            value = gguf.quants.dequantize(packed, quant)
        held[name] = value
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held
