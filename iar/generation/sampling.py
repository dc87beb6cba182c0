"""Sampling that does not depend on the batch: each row draws from noise of its own.

Gumbel-max: with g = -log(-log u), u uniform and independent for each token,

    argmax_i (logits_i / T + g_i)   is distributed as   softmax(logits / T),

so greedy decoding of the noisy scores is sampling (Gumbel 1954; Maddison et al., arXiv 1411.0030). The noise is seeded
by (seed, row key, step): a row draws the same tokens alone, in any batch and in any order, as long as the
logits are equal up to rounding. Nothing is drawn from a global generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from iar.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: Divides the logits; 1 is the model's own distribution.
        top_p: Draw from the smallest set of most probable tokens that holds this much probability; 1 is all of them.
        seed: Other seeds draw other answers to the same question.

    Raises:
        UserError: No numbers, a temperature that is not positive, or a top_p outside (0, 1].
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("temperature", self.temperature), ("top_p", self.top_p), ("seed", self.seed)):
            if isinstance(value, bool) or not isinstance(value, int if name == "seed" else (int, float)):
                raise UserError(f"{name}={value} is not a number")
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"temperature={self.temperature} is not a number above 0")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p={self.top_p} is not a probability above 0 and at most 1")


class GumbelSampling(LogitsProcessor):
    """Adds each row's noise to its scores; give it to a greedy ``generate``. One object serves one ``generate`` call.

    Args:
        keys: One string a row, in the order of the batch: the row's identity.
    """

    def __init__(self, sampling: Sampling, keys: Sequence[str]) -> None:
        self.sampling = sampling
        self.keys = tuple(keys)
        self.prompt_length: int | None = None  # with its padding; None until the first call

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (rows, vocabulary) of the next token, to be maximised.

        Raises:
            ValueError: Not as many rows as keys.
        """
        if len(scores) != len(self.keys):
            raise ValueError(
                f"{len(scores)} rows but {len(self.keys)} keys: sampling needs one key a row, and no beams"
            )
        if self.prompt_length is None:
            self.prompt_length = input_ids.shape[1]
        step = input_ids.shape[1] - self.prompt_length
        scores = _nucleus(scores.float() / self.sampling.temperature, self.sampling.top_p)
        noise = _gumbel(self.sampling.seed, self.keys, step, scores.shape[1])
        return scores + noise.to(scores.device)


def _nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Scores with -inf outside the smallest set of most probable tokens that holds `top_p`."""
    if top_p >= 1:
        return scores
    ordered, order = scores.softmax(-1).sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) - ordered >= top_p  # what stands before a token is enough; never the first
    return scores.masked_fill(outside.scatter(-1, order, outside), float("-inf"))


def _gumbel(seed: int, keys: Sequence[str], step: int, size: int) -> Tensor:
    """(rows, size) standard Gumbel noise, float32, drawn on the CPU so that every device gets the same."""
    # Philox takes 128 bits as its key (torch's CPU generator would use 32: rows would share noise), and is made for
    # many short streams. One generator is given each row's key: to make a new one takes five times as long.
    bits = np.random.Philox(key=0)
    generator, state = np.random.Generator(bits), bits.state
    noise = np.empty((len(keys), size), dtype=np.float32)
    for row, key in enumerate(keys):
        digest = hashlib.sha256(f"{seed}/{step}/{key}".encode()).digest()
        state["state"]["key"] = np.frombuffer(digest[:16], dtype=">u8")[::-1].astype(np.uint64)
        bits.state = state
        noise[row] = -np.log(generator.standard_exponential(size))
    return torch.from_numpy(noise)
