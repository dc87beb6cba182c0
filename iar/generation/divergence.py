"""How far a revision moves the model away from itself where it should not, and the largest strength within a budget.

    D = mean over prompts x, mean over tokens t of   sum_v p_t(v) (log p_t(v) - log q_t(v))        in nats

p_t: the unsteered model's distribution of the t-th answer token, q_t: the steered model's behind the same tokens, which
are those that the unsteered model answers greedily (the first 8, or up to the end of the answer). Arditi et al. (arXiv
2406.11717) choose directions by such a divergence on harmless prompts, which they keep below 0.1.

The answers run through the model's own ``generate`` with the tokens forced, so the revision, a gate that reads the
prompt, and every model family do here what they do when a question is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, LogitsProcessor

from iar.errors import UserError
from iar.generation.row import end_tokens
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision
from iar.revision.hooks import steering

TOKENS = 8
STEPS = 8  # of the scan


def strongest(kl_of: Callable[[float], float], budget: float, most: float, tolerance: float = 0.01) -> float:
    """The largest strength up to ``most`` before the divergence first goes over the budget.

    The divergence of a strong revision need not grow with its strength, and far out it may fall again: a strength
    behind a crossing is not taken even where it keeps to the budget. So strengths are tried from 0 on in eighths of
    ``most`` up to the first that goes over the budget, and the crossing below it is found by bisection. What comes back
    was measured and keeps to the budget. A larger budget never gives a smaller strength.

    Args:
        kl_of: Divergence (nats) at a strength; asked once of each.
        budget: In nats.
        most: The upper end of the search; negative for strengths below 0.
        tolerance: How far below the crossing the result may lie, as a share of ``most``.

    Returns:
        The strength; ``most`` where the budget is kept throughout, 0 where even the weakest one tried goes over it.

    Raises:
        UserError: The budget is not a number above 0.

    >>> strongest(lambda strength: strength**2, budget=1.0, most=1.6, tolerance=0.001)
    1.0
    """
    check(budget)
    low, high = 0.0, None
    for step in range(1, STEPS + 1):
        share = step / STEPS
        if not kl_of(most * share) <= budget:  # NaN, of a model that breaks, is over it too
            high = share
            break
        low = share
    while high is not None and high - low > tolerance:
        middle = (low + high) / 2
        if kl_of(most * middle) <= budget:
            low = middle
        else:
            high = middle
    return most * low


def check(budget: float) -> None:
    """Raises what is wrong with a budget.

    Raises:
        UserError: It is not a number above 0.
    """
    if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 0 < budget < float("inf"):
        raise UserError(f"kl={budget} must be a number of nats above 0, such as kl=0.05 (kl=0: no limit)")


@dataclass(frozen=True)
class Answered:
    """A batch of prompts and what the unsteered model makes of them.

    Attributes:
        inputs: The prompts, padded on the left.
        tokens: (rows, n) its greedy tokens.
        counts: (rows, n) whether a token is part of the answer, its end included.
        log_probabilities: (rows, n, vocabulary) float32, on the CPU.
    """

    inputs: BatchFeature
    tokens: Tensor
    counts: Tensor
    log_probabilities: Tensor


def answered(
    loaded: LoadedModel, prompts: Sequence[Mapping[str, Tensor]], tokens: int = TOKENS, batch_size: int = 32
) -> list[Answered]:
    """What the unsteered model answers, in batches of prompts alike.

    Args:
        prompts: Encoded ones, as `iar.models.chat.encode_rendered` makes them.
        tokens: How many of each answer.
    """
    ends = torch.tensor(sorted(end_tokens(loaded)), dtype=torch.long)
    found = []
    for batch in _batches(prompts, batch_size):
        inputs = chat.collate(loaded, batch, side="left")
        chosen, log_probabilities = _generate(loaded, inputs, tokens)
        ended = torch.isin(chosen, ends)
        counts = ended.cumsum(1) - ended.long() == 0  # up to the first end
        found.append(Answered(inputs, chosen, counts, log_probabilities))
    return found


def divergence(loaded: LoadedModel, revision: Revision, positions: str, prompts: Sequence[Answered]) -> float:
    """D(unsteered || steered) in nats: each prompt counts the same, and so does each token of its answer.

    Args:
        revision: What is added, for every prompt.
        positions: Where: ``last``, ``generated``, ``prompt`` or ``all``.

    Raises:
        UserError: The model's own ``generate`` cannot be made to follow given tokens.
    """
    total, rows = 0.0, 0
    for batch in prompts:
        with steering(loaded.decoder, [revision], [positions]):
            _, steered = _generate(loaded, batch.inputs, batch.tokens.shape[1], batch.tokens)
        each = kl(batch.log_probabilities, steered)
        total += float(torch.where(batch.counts, each, 0.0).sum(1).div(batch.counts.sum(1)).sum())
        rows += len(batch.tokens)
    mean = total / rows
    return 0.0 if mean < 0 else mean  # rounding may leave it a hair below; NaN stays


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """sum_v p (log p - log q) over the last dimension, in float64; a token that p never chooses adds nothing."""
    log_p, log_q = log_p.double(), log_q.double()
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(-1)


class _Forced(LogitsProcessor):
    """Leaves one token at every step: the given one."""

    def __init__(self, tokens: Tensor) -> None:
        self.tokens = tokens
        self.start: int | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.start is None:
            self.start = input_ids.shape[1]
        wanted = self.tokens[:, input_ids.shape[1] - self.start, None].to(scores.device)
        return torch.full_like(scores, -torch.inf).scatter(1, wanted, 0.0)


def _generate(
    loaded: LoadedModel, inputs: BatchFeature, count: int, tokens: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Greedy tokens (rows, n), or the given ones, and the log-probabilities (rows, n, vocabulary) that each had.

    n is at most ``count``. Both on the CPU. Behind the end of an answer they mean nothing.
    """
    ends = sorted(end_tokens(loaded))
    pad = loaded.tokenizer.pad_token_id
    forced = _Forced(tokens) if tokens is not None else None
    model: Any = loaded.model  # generate() comes from a mixin that type checkers cannot follow
    with torch.no_grad():
        found = model.generate(
            **inputs,
            max_new_tokens=count,
            do_sample=False,
            logits_processor=[forced] if forced else None,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=pad if pad is not None else next(iter(ends), 0),
            eos_token_id=ends or None,
            output_logits=True,
            return_dict_in_generate=True,
        )
    if forced and forced.start is None:  # Janus' own generate() drops it (transformers 5.23)
        raise UserError(f"model {loaded.id!r} cannot follow given tokens, its generate() ignores them: leave kl out")
    chosen = found.sequences[:, inputs["input_ids"].shape[1] :].cpu()
    return chosen, torch.stack(found.logits, dim=1).float().log_softmax(-1).cpu()


def _batches(prompts: Sequence[Mapping[str, Tensor]], size: int) -> list[list[Mapping[str, Tensor]]]:
    """Prompts of as many tensors (with or without an image) together, then of similar length: as the engine does."""
    ordered = sorted(prompts, key=lambda row: (len(row), row["input_ids"].shape[1]), reverse=True)
    found = []
    for _, group in groupby(ordered, key=len):
        alike = list(group)
        found += [alike[start : start + size] for start in range(0, len(alike), size)]
    return found
