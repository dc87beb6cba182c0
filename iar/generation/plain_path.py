"""The plain path: transformers' own ``generate`` under hooks, every row by itself in a padded batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from iar.errors import UserError
from iar.generation.finite import NotFinite, Watch
from iar.generation.row import Row, end_tokens
from iar.generation.sampling import GumbelSampling, Sampling
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision
from iar.revision.hooks import steering


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Longest first, so that a batch too big fails at once; rows of as many images together, text-only rows apart.

    Padding with images is not nothing to every family: before a row's first image, Mllama looks at all there are.
    One prompt's configurations stay together: its image is preprocessed once for all of them.
    """
    ordered = sorted(rows, key=lambda row: (len(row.images), row.length, row.prompt, row.images), reverse=True)
    for _, group in groupby(ordered, key=lambda row: len(row.images)):
        alike = list(group)
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def generate(
    loaded: LoadedModel,
    rows: Sequence[Row],
    features: Sequence[dict[str, Tensor]],
    revisions: Sequence[Revision],
    max_new_tokens: int,
    sampling: Sampling | None = None,
    last: bool = False,
) -> Iterator[tuple[int, list[int] | None]]:
    """Each row's index and generated ids, in one batch.

    Args:
        last: What to do with rows whose logits are not finite: None for their ids. Otherwise nothing is yielded.

    Raises:
        UserError: The model's own ``generate`` cannot sample.
        NotFinite: With the indices of rows whose logits are not finite, unless ``last``.
    """
    found = _generate(loaded, rows, features, revisions, max_new_tokens, sampling)
    broken = [index for index, ids in enumerate(found) if ids is None]
    if broken and not last:
        raise NotFinite(broken)
    if len(rows) > 1:  # a row's padding may be what broke it: by itself it has none
        for i in broken:
            found[i] = _generate(loaded, [rows[i]], [features[i]], [revisions[i]], max_new_tokens, sampling)[0]
    yield from enumerate(found)


def _generate(
    loaded: LoadedModel,
    rows: Sequence[Row],
    features: Sequence[dict[str, Tensor]],
    revisions: Sequence[Revision],
    max_new_tokens: int,
    sampling: Sampling | None,
) -> list[list[int] | None]:
    tokenizer, model = loaded.tokenizer, loaded.model
    batch = chat.collate(loaded, features, side="left")
    ends = end_tokens(loaded)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else next(iter(ends), 0)
    # Sampling is greedy decoding of perturbed logits, so that a row's draws do not depend on its batch.
    perturb = [GumbelSampling(sampling, [row.key for row in rows])] if sampling else None
    stopping = {"stop_strings": list(loaded.stop), "tokenizer": tokenizer} if loaded.stop else {}
    positions = [row.configuration.positions for row in rows]
    watch = Watch()
    asked: Any = model  # generate() comes from a mixin that type checkers cannot follow
    with torch.no_grad(), steering(loaded.decoder, revisions, positions), watch.over(model):
        # Sampling settings a checkpoint may bring along are unset: they mean nothing to greedy decoding.
        generated = asked.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            logits_processor=perturb,
            stopping_criteria=[watch],
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
    answers: list[list[int]] = generated[:, batch["input_ids"].shape[1] :].tolist()
    lasts = [next((i for i, token in enumerate(ids) if token in ends or token == pad), len(ids)) for ids in answers]
    broken = watch.broken([ids[: last + 1] for ids, last in zip(answers, lasts, strict=True)])
    return [None if nothing else ids for ids, nothing in zip(answers, broken, strict=True)]
