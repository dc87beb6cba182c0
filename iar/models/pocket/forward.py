"""The training forward pass: the same parameters and mathematics as transformers' LLaVA, one compiled block.

Sequences are padded on the right and attention is causal, so no mask is needed. `tests` hold it against transformers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * weight


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def _block(
    x: Tensor, norm1: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, norm2: Tensor, gate: Tensor, up: Tensor,
    down: Tensor, cos: Tensor, sin: Tensor, heads: int,
) -> Tensor:  # fmt: skip
    batch, length, width = x.shape
    h = _norm(x, norm1)
    queries, keys, values = (F.linear(h, w).view(batch, length, heads, -1).transpose(1, 2) for w in (q, k, v))
    attended = F.scaled_dot_product_attention(
        _rotate(queries, cos, sin), _rotate(keys, cos, sin), values, is_causal=True
    )
    x = x + F.linear(attended.transpose(1, 2).reshape(batch, length, width), o)
    h = _norm(x, norm2)
    return x + F.linear(F.silu(F.linear(h, gate)) * F.linear(h, up), down)


class TrainingForward:
    """Hidden states and loss of a LLaVA over right-padded token ids (batch, length)."""

    def __init__(self, model: Any, compiled: bool = True) -> None:
        self.model = model
        self.text = model.model.language_model
        self.heads = model.config.text_config.num_attention_heads
        self.block = torch.compile(_block, dynamic=True) if compiled else _block
        base = model.config.text_config.rope_parameters["rope_theta"]
        size = model.config.text_config.hidden_size // self.heads
        inverse = 1 / (base ** (torch.arange(0, size, 2).float() / size))
        angles = torch.outer(torch.arange(512).float(), inverse)
        angles = torch.cat((angles, angles), -1).to(model.device)
        self.cos, self.sin = angles.cos(), angles.sin()

    def features(self, pixels: Tensor) -> Tensor:
        """Patch features (images, patches, width) of pixels (images, 3, side, side)."""
        tower = self.model.model.vision_tower
        last: Tensor = tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-1]
        return last[:, 1:]

    def logits(self, ids: Tensor, pixels: Tensor | None, where: Tensor) -> tuple[Tensor, Tensor | None]:
        """Next-token logits at the boolean positions `where` (batch, length), and the image features."""
        x = self.text.embed_tokens(ids)
        features = None
        if pixels is not None:
            features = self.features(pixels)
            projected = self.model.model.multi_modal_projector(features)
            x = x.masked_scatter((ids == self.model.config.image_token_id).unsqueeze(-1), projected)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.text.layers:
            attention, mlp = layer.self_attn, layer.mlp
            x = self.block(
                x,
                layer.input_layernorm.weight,
                attention.q_proj.weight,
                attention.k_proj.weight,
                attention.v_proj.weight,
                attention.o_proj.weight,
                layer.post_attention_layernorm.weight,
                mlp.gate_proj.weight,
                mlp.up_proj.weight,
                mlp.down_proj.weight,
                cos,
                sin,
                self.heads,
            )
        return F.linear(_norm(x[where], self.text.norm.weight), self.model.lm_head.weight), features
