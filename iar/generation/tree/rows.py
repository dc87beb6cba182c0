"""Requests row by row through the model's own ``generate``: the plain path, and the one with a shared cache.

With ``shared`` the prompts without their last token are computed once and their cache is copied for each branch, by the
model's own cache class: exact for families in which branches cannot share one cache, such as those with linear
attention. Where the prompt itself is steered nothing is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, LogitsProcessor, StoppingCriteria

from iar.generation.finite import NotFinite, Watch
from iar.generation.tree.cache import as_input
from iar.generation.tree.request import Decoding, Follower, Place, Request
from iar.generation.tree.wave import Limits
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision
from iar.revision.gate import Gate
from iar.revision.hooks import steering


def grow_rows(
    loaded: LoadedModel,
    requests: Sequence[Request],
    decoding: Decoding,
    limits: Limits | None = None,
    logits: dict[Place, Tensor] | None = None,
    shared: bool = False,
) -> Iterator[tuple[Place, list[int]]]:
    """Each place (request, branch) and its generated ids, as soon as its batch is done; arguments as `grow_trees`.

    Raises:
        NotFinite: With the places of a batch whose logits are not finite.
    """
    for found in _batches(loaded, requests, decoding, limits, logits, shared):
        if broken := [place for place, ids in found.items() if ids is None]:
            raise NotFinite(broken)
        yield from ((place, ids) for place, ids in found.items() if ids is not None)


def broken_rows(
    loaded: LoadedModel, requests: Sequence[Request], decoding: Decoding, limits: Limits | None = None
) -> list[Place]:
    """The places whose logits are not finite, each computed apart from the others."""
    batches = _batches(loaded, requests, decoding, limits)
    return [place for found in batches for place, ids in found.items() if ids is None]


def _batches(
    loaded: LoadedModel,
    requests: Sequence[Request],
    decoding: Decoding,
    limits: Limits | None = None,
    logits: dict[Place, Tensor] | None = None,
    shared: bool = False,
) -> Iterator[dict[Place, list[int] | None]]:
    limits = limits or Limits()

    def kind(place: Place) -> tuple[bool, int]:
        """Whether it has images, and its length if its prompt is shared, else 0: outside ``generate`` some families
        count padding as positions, so shared prompts have none."""
        request, branch = requests[place[0]], requests[place[0]].branches[place[1]]
        images = not all(map(request.along_tokens, request.inputs))
        length = len(request.tokens)
        return images, length if shared and not branch.steers_prompt and length > 1 else 0

    places = [(r, b) for r, request in enumerate(requests) for b in range(len(request.branches))]
    places.sort(key=lambda place: (kind(place), len(requests[place[0]].tokens), place), reverse=True)
    for (_, sharing), group in groupby(places, key=kind):
        batch: list[Place] = []
        for place in group:
            length = len(requests[(batch or [place])[0][0]].tokens)
            rows = len(batch) + 1
            columns = rows * (length + decoding.max_new_tokens)
            full = rows * length > limits.tokens or columns > limits.columns or rows > limits.answers
            if batch and full:
                yield _answer(loaded, requests, batch, decoding, sharing > 0, logits)
                batch = []
            batch.append(place)
        yield _answer(loaded, requests, batch, decoding, sharing > 0, logits)


def _answer(
    loaded: LoadedModel,
    requests: Sequence[Request],
    batch: Sequence[Place],
    decoding: Decoding,
    shared: bool,
    logits: dict[Place, Tensor] | None,
) -> dict[Place, list[int] | None]:
    model: Any = loaded.model
    watch = Watch()
    inputs: Mapping[str, Any]
    with torch.no_grad():
        if shared:
            inputs = _behind_prompts(loaded, requests, batch)
        else:
            inputs = chat.collate(loaded, [dict(requests[r].inputs) for r, _ in batch], side="left")
        length = inputs["input_ids"].shape[1]
        branches = [requests[r].branches[b] for r, b in batch]
        revisions, positions = [b.revision for b in branches], [b.positions for b in branches]
        criteria: list[StoppingCriteria] = [watch, *([_Stop(decoding, length)] if decoding.stop else [])]
        followed = _Follow(decoding, decoding.follow, batch, length, watch) if decoding.follow else None
        if followed is not None:
            revisions = [followed.told(revision, place) for revision, place in zip(revisions, batch, strict=True)]
            criteria.append(followed)
        with steering(loaded.decoder, revisions, positions), watch.over(model):
            out = model.generate(
                **inputs,
                max_new_tokens=decoding.max_new_tokens,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=chat._pad_id(loaded),
                eos_token_id=sorted(decoding.ends) or None,
                logits_processor=[_Perturb(decoding, batch, length)] if decoding.perturb else None,
                stopping_criteria=criteria,
                return_dict_in_generate=True,
                output_logits=logits is not None,
            )
    ids = out.sequences[:, -_steps(out, length) :]
    ends = torch.stack([decoding.ended(ids[:, : n + 1]) for n in range(ids.shape[1])], 1)
    lengths = torch.where(ends.any(1), ends.int().argmax(1) + 1, ids.shape[1])
    if followed is not None:
        lengths = torch.minimum(lengths, followed.lengths.to(lengths))
    answers: list[list[int]] = [row[:n] for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)]
    if logits is not None:
        for i, place in enumerate(batch):
            logits[place] = torch.stack([step[i] for step in out.logits[: len(answers[i])]]).float()
    broken = watch.broken(answers)
    return {place: None if broken[i] else answers[i] for i, place in enumerate(batch)}


def _steps(out: Any, length: int) -> int:
    """Number of generated tokens: some families return them without the prompt."""
    if out.logits is not None:
        return len(out.logits)
    return int(out.sequences.shape[1]) - length


def _behind_prompts(loaded: LoadedModel, requests: Sequence[Request], batch: Sequence[Place]) -> dict[str, Any]:
    """Inputs for `generate` of the whole prompts, with a cache that holds all but their last tokens."""
    model: Any = loaded.model
    distinct = list(dict.fromkeys(r for r, _ in batch))
    heads = []
    for r in distinct:
        request = requests[r]
        heads.append({k: v[:, :-1] if request.along_tokens(k) else v for k, v in request.inputs.items()})
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    prompts = chat.collate(loaded, heads, side="left")
    model(**prompts, **as_input(model, cache), use_cache=True)
    # As for beams: the one way of copying rows that linear attention's states have too.
    copies: Any = torch.tensor([distinct.index(r) for r, _ in batch], device=loaded.device)
    cache.reorder_cache(copies)
    whole = [{k: v for k, v in requests[r].inputs.items() if requests[r].along_tokens(k)} for r, _ in batch]
    return {**chat.collate(loaded, whole, side="left"), **as_input(model, cache)}


class _Perturb(LogitsProcessor):
    def __init__(self, decoding: Decoding, places: Sequence[Place], length: int) -> None:
        self.decoding, self.places, self.length = decoding, places, length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        assert self.decoding.perturb is not None
        return self.decoding.perturb(self.places, input_ids.shape[1] - self.length, scores)


class _Stop(StoppingCriteria):
    def __init__(self, decoding: Decoding, length: int) -> None:
        self.decoding, self.length = decoding, length

    def __call__(self, input_ids: Tensor, scores: Any, **options: Any) -> Tensor:
        assert self.decoding.stop is not None
        return self.decoding.stop(input_ids[:, self.length :])


class _Follow(StoppingCriteria):
    """Tells a follower the tokens of one ``generate``, and ends the rows that it ends.

    Attributes:
        lengths: (rows,) tokens of each row that has ended, by whatever; more than there can be of the others.
    """

    def __init__(
        self, decoding: Decoding, follow: Follower, places: Sequence[Place], length: int, watch: Watch
    ) -> None:
        self.decoding, self.follow, self.places, self.length, self.watch = decoding, follow, places, length, watch
        self.lengths = torch.full((len(places),), decoding.max_new_tokens + 1)

    def told(self, revision: Revision, place: Place) -> Revision:
        """A revision whose gate tells what it reads; its row alone has it."""
        gate = revision.gate
        if gate is None:
            return revision
        return replace(
            revision,
            gate=_Told(**{f.name: getattr(gate, f.name) for f in fields(gate)}, tell=partial(self.follow.read, place)),
        )

    def __call__(self, input_ids: Tensor, scores: Any, **options: Any) -> Tensor:
        so_far = input_ids[:, self.length :].cpu()
        step = so_far.shape[1] - 1
        broken = self.watch(input_ids, scores).cpu()
        live = [row for row in range(len(self.places)) if self.lengths[row] > step and not broken[row]]
        if live:
            told = self.follow.grew([self.places[row] for row in live], step, so_far[live, -1].tolist())
            over = torch.tensor(told) | self.decoding.ended(so_far[live])
            self.lengths[live] = torch.where(over, step + 1, self.lengths[live])
        return (self.lengths <= step + 1).to(input_ids.device)


@dataclass(frozen=True)
class _Told(Gate):
    """A gate of one row that tells what it reads."""

    tell: Callable[[Tensor], None] = lambda read: None

    def decide(self, found: Tensor) -> Tensor:
        self.tell(found[0])
        return super().decide(found)
