"""Adaptive steering: how much is added follows how far an activation lies on the unsafe side of benign ones.

    d = h - h0                                                      offset from the benign mean h0
    scale=raw    h + strength * clip(-d.u, 0, |v|) * u              as far as it falls short of h0, at most |v|
    scale=unit   h + strength * |h| * clip(cos(d, -u), 0, 1) * u    ASTRA (arXiv 2411.16721)

u = v / |v|, from unsafe to safe. ``raw`` is proportional to the risk -d.u: at strength 1 it brings an activation to h0
along u, never past it, and never adds more than plain revision does. ``unit`` is the rule of ASTRA's released code,
h - strength * |h| * clip(cos(h - h0, w), 0, 1) * w, with w = -u; the strengths it recommends are 5 to 10. An activation
on the safe side of h0 is left as it is under both.

A rule sees no position, and prompt ends and response tokens lie apart: measured from the mean of one, all of the other
may look unsafe. So h0 is the nearer of two means: of benign prompts at the last prompt token, and of safe responses to
benign prompts at the response tokens. ASTRA has one, and adds at the last token.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from iar.revision.axis import along, axis
from iar.revision.configuration import Configuration
from iar.revision.direction import gates_of
from iar.vectors.vector_set import VectorSet


@dataclass(frozen=True)
class Adaptive:
    """What is added to an activation.

    Attributes:
        strength: Factor on it.
        axis: (hidden,) float32 of length 1, towards safe.
        most: |v|, the most that is added at strength 1; None for the rule of ASTRA.
        prompt: (hidden,) mean of benign prompts at the last prompt token.
        response: (hidden,) mean of safe responses to benign prompts.
    """

    strength: float
    axis: Tensor
    most: float | None
    prompt: Tensor
    response: Tensor

    def added(self, hidden: Tensor) -> Tensor:
        """(n, hidden) -> (n, hidden), of the same dtype and device."""
        rows = hidden.float()
        axis, prompt, response = (x.to(rows) for x in (self.axis, self.prompt, self.response))
        from_prompt, from_response = rows - prompt, rows - response
        nearer = from_prompt.norm(dim=-1, keepdim=True) <= from_response.norm(dim=-1, keepdim=True)
        offset = torch.where(nearer, from_prompt, from_response)
        short = -along(offset, axis)
        if self.most is None:
            cosine = short / offset.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
            amount = rows.norm(dim=-1, keepdim=True) * cosine.clamp(0, 1)
        else:
            amount = short.clamp(0, self.most)
        added: Tensor = self.strength * amount * axis
        return added.to(hidden.dtype)


def rule(configuration: Configuration, vectors: VectorSet, layer: int) -> Adaptive:
    """The rule of one layer.

    Raises:
        UserError: The file has no gates, or the layer's vector is zero.
    """
    gates = gates_of(configuration, vectors)
    unit, length = axis(vectors, layer)
    most = length if configuration.scale == "raw" else None
    return Adaptive(
        configuration.strength, unit, most, gates.benign_mean[layer].float(), gates.response_mean[layer].float()
    )
