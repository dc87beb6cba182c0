"""The plain path: transformers' own ``generate`` under hooks, every row by itself in a padded batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from iar.errors import UserError
from iar.generation.row import Row, end_tokens
from iar.generation.sampling import GumbelSampling, Sampling
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision
from iar.revision.hooks import steering


def generate(
    loaded: LoadedModel,
    rows: Sequence[Row],
    features: Sequence[dict[str, Tensor]],
    revisions: Sequence[Revision],
    max_new_tokens: int,
    sampling: Sampling | None = None,
) -> Iterator[tuple[int, list[int]]]:
    """Each row's index and generated ids, in one batch.

    Raises:
        UserError: The model's own ``generate`` cannot sample.
    """
    tokenizer, model = loaded.tokenizer, loaded.model
    batch = chat.collate(loaded, features, side="left")
    ends = end_tokens(loaded)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else next(iter(ends), 0)
    # Sampling is greedy decoding of perturbed logits, so that a row's draws do not depend on its batch.
    perturb = [GumbelSampling(sampling, [row.key for row in rows])] if sampling else None
    stopping = {"stop_strings": list(loaded.stop), "tokenizer": tokenizer} if loaded.stop else {}
    positions = [row.configuration.positions for row in rows]
    asked: Any = model  # generate() comes from a mixin that type checkers cannot follow
    with torch.no_grad(), steering(loaded.decoder, revisions, positions):
        # Sampling settings a checkpoint may bring along are unset: they mean nothing to greedy decoding.
        generated = asked.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            logits_processor=perturb,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=pad,
            eos_token_id=sorted(ends) or None,
            **stopping,
        )
    if perturb and perturb[0].prompt_length is None:  # Janus' own generate() drops it (transformers 5.23)
        raise UserError(f"model {loaded.id!r} cannot be sampled, its generate() ignores it: take another model")
    yield from enumerate(generated[:, batch["input_ids"].shape[1] :].tolist())
