"""Branches grow token by token, all of a batch in one forward pass, until each has ended. Every few seconds those
that have ended are handed over, so that a slow model keeps nothing to itself for long.

The state is a table of slots, (rows, slots): branches of one tree stand in one row. Slots whose branches have ended are
dropped when enough of them have; a row whose generated keys far outweigh its prompt's is split in two, since each of
its branches looks over all of them in vain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from iar.generation.finite import NotFinite, finite
from iar.generation.tree.cache import TreeCache
from iar.generation.tree.passes import Passes, Tokens
from iar.generation.tree.request import Decoding, Place
from iar.generation.tree.steer import Steering

HAND_OVER = 10.0  # seconds


@dataclass
class Slots:
    """Growing branches.

    Attributes:
        branch: (rows, slots) number of the branch in the batch; -1 for an empty slot.
        depth, position: (rows, slots) of the next token.
        steered: (rows, slots) number of the revision that steers the next tokens.
        request: (rows, slots) number of the request.
        sees: (rows, slots, columns).
    """

    branch: Tensor
    depth: Tensor
    position: Tensor
    steered: Tensor
    request: Tensor
    sees: Tensor

    def pick(self, rows: Tensor, slots: Tensor) -> Slots:
        """Of each given row (rows,), these slots (rows, slots); -1 gives an empty one."""
        at = slots.clamp(min=0)
        parts: dict[str, Tensor] = {}
        for field in fields(self):
            value: Tensor = getattr(self, field.name)
            parts[field.name] = value[rows[:, None], at]
        parts["branch"] = parts["branch"].masked_fill(slots < 0, -1)
        parts["sees"] &= (slots >= 0)[:, :, None]
        return Slots(**parts)


@dataclass
class Growth:
    """Branches, and the cache that they grow in.

    Attributes:
        column_depth: (rows, columns) Depth of each column of the cache.
        prompts: Number of columns, the first ones, that hold the prompts.
        room: Columns over all rows that the cache may take.
    """

    slots: Slots
    cache: TreeCache
    column_depth: Tensor
    prompts: int
    room: int

    def tidy(self, ids: Tensor, left: int) -> Tensor:
        """Drop what is dead, and split rows, where it pays.

        Args:
            ids: (rows, slots) The next tokens, which are regrouped alike.
            left: Tokens that an answer may still get.
        """
        live = self.slots.branch >= 0
        per_row = live.sum(1)
        rows, width = live.shape
        most, columns = int(per_row.max()), self.slots.sees.shape[2]
        half = -(-most // 2)
        # Measured: attention over a few prompts' lengths in vain costs less than copying the prompt for a new row.
        split = columns - self.prompts > 4 * self.prompts and most > 1
        split = (
            split and 2 * rows * (self.prompts + half * (columns - self.prompts + width * left) // width) < self.room
        )
        if not split and most > 0.8 * width and int((per_row > 0).sum()) > 0.5 * rows:
            return ids
        # Live slots first, in their order: branches of one question stay side by side.
        order = (~live).to(torch.int8).argsort(dim=1, stable=True)[:, :most]
        order = order.masked_fill(torch.arange(most, device=order.device) >= per_row[:, None], -1)
        source = (per_row > 0).nonzero().flatten()
        order = order[source]
        if split:
            second = torch.nn.functional.pad(order[:, half:], (0, 2 * half - most), value=-1)
            order, source = torch.cat([order[:, :half], second]), source.repeat(2)
            filled = (order >= 0).any(1)
            order, source = order[filled], source[filled]
        ids = ids[source[:, None], order.clamp(min=0)]
        self.slots = self.slots.pick(source, order)
        used = self.slots.sees.any(1)
        count = int(used.sum(1).max())
        if split or len(source) < rows or count < 0.5 * columns:
            kept = (~used).to(torch.int8).argsort(dim=1, stable=True)[:, :count]
            self.slots.sees = self.slots.sees.gather(2, kept[:, None].expand(-1, order.shape[1], -1))
            self.prompts = int(used[:, : self.prompts].sum(1).max())
            self.cache, self.column_depth = self.cache.select(source, kept), self.column_depth[source].gather(1, kept)
        return ids

    def step(self, passes: Passes, steering: Steering, ids: Tensor) -> Tensor:
        """(rows, slots, vocabulary) Logits behind the next tokens, which join the cache."""
        slots = self.slots
        own = torch.eye(ids.shape[1], dtype=torch.bool, device=ids.device).expand(len(ids), -1, -1)
        slots.sees = torch.cat([slots.sees, own], 2)
        self.column_depth = torch.cat([self.column_depth, slots.depth], 1)
        # Slots whose answer has ended are computed until they are dropped: unsteered, so that none of them overflows.
        steering.at, steering.request, steering.ends = slots.steered * (slots.branch >= 0), slots.request, None
        tokens = Tokens(ids, slots.depth, slots.position, slots.sees, self.column_depth)
        scores = passes(self.cache, tokens, ids.shape[1])
        slots.depth, slots.position = slots.depth + 1, slots.position + 1
        return scores


Process = Callable[[Tensor, Tensor, Tensor], Tensor]
Follow = Callable[[Tensor, int, Tensor], Tensor]


def grow(
    growth: Growth,
    scores: Tensor,
    passes: Passes,
    steering: Steering,
    decoding: Decoding,
    process: Process,
    keep: list[Tensor] | None = None,
    follow: Follow | None = None,
) -> Iterator[dict[int, list[int]]]:
    """Generate every branch's answer: the ids of those that have ended, if any, by the number of the branch, every
    `HAND_OVER` seconds, and of all others at the end.

    Args:
        scores: (rows, slots, vocabulary) Logits of each branch's first token.
        process: (branch numbers, answers so far, logits) -> scores: what the model's own settings and the sampling make
            of the logits of some branches.
        keep: Is given the logits of every step, (branches, vocabulary), NaN where a branch has ended.
        follow: (branch numbers, step, tokens) -> bools: is told the tokens, and says which answers end with them.

    Raises:
        NotFinite: Some logits are not finite; of which branch first cannot be told.
    """
    branches = int(growth.slots.branch.max()) + 1
    ids = growth.slots.branch.new_zeros(branches, decoding.max_new_tokens)
    lengths = growth.slots.branch.new_zeros(branches)
    inside, since = set(range(branches)), time.monotonic()

    def out(growing: set[int]) -> dict[int, list[int]]:
        numbers = sorted(inside - growing)
        inside.difference_update(numbers)
        found = zip(numbers, ids[numbers].tolist(), lengths[numbers].tolist(), strict=True)
        return {n: answer[:length] for n, answer, length in found}

    for step in range(decoding.max_new_tokens):
        live = growth.slots.branch >= 0
        numbers, logits = growth.slots.branch[live], scores[live]
        if keep is not None:
            keep.append(logits.new_full((branches, logits.shape[1]), torch.nan).index_copy(0, numbers, logits))
        chosen = process(numbers, ids[numbers, :step], logits).argmax(-1)
        ids[numbers, step] = chosen
        lengths[numbers] = step + 1
        ended = decoding.ended(ids[numbers, : step + 1])
        broken, over = torch.stack([~finite(logits).all(), ended.all()]).tolist()  # one wait for the device
        if broken:
            raise NotFinite(range(branches), step + 1)
        if follow is not None:
            ended = ended | follow(numbers, step, chosen)
            over = bool(ended.all())
        if over or step + 1 == decoding.max_new_tokens:
            break
        tokens = torch.zeros_like(growth.slots.branch).masked_scatter(live, chosen)
        growth.slots.branch = growth.slots.branch.masked_scatter(live, numbers.masked_fill(ended, -1))
        if time.monotonic() - since > HAND_OVER:
            yield out(set(growth.slots.branch.flatten().tolist()))
            since = time.monotonic()
        tokens = growth.tidy(tokens, decoding.max_new_tokens - step - 1)
        scores = growth.step(passes, steering, tokens)
    yield out(set())


def follower(decoding: Decoding, places: list[Place]) -> Follow | None:
    """What follows the branches of a batch, by the place of each."""
    told = decoding.follow
    if told is None:
        return None

    def follow(numbers: Tensor, step: int, tokens: Tensor) -> Tensor:
        ends = told.grew([places[n] for n in numbers.tolist()], step, tokens.tolist())
        return torch.tensor(ends, dtype=torch.bool, device=numbers.device)

    return follow


def processor(model: Any, decoding: Decoding, prompts: list[list[int]], places: list[Place]) -> Process:
    """What ``generate`` would do to the logits of some branches: the generation config's processors, then noise.

    Args:
        prompts: The whole prompt of each branch, by number.
        places: The place of each branch, by number.
    """
    settings = {"max_new_tokens": decoding.max_new_tokens, "eos_token_id": sorted(decoding.ends) or None}
    greedy = {"do_sample": False, "num_beams": 1, "temperature": None, "top_p": None, "top_k": None}
    config, _ = model._prepare_generation_config(None, **settings, **greedy)
    model._prepare_special_tokens(config, True, device=model.device)
    lists: dict[int, Any] = {}
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    for length in set(lengths.tolist()):
        lists[length] = model._get_logits_processor(
            config, input_ids_seq_length=length, device=model.device, model_kwargs={}
        )
    by_length = any(lists.values())

    def process(numbers: Tensor, so_far: Tensor, logits: Tensor) -> Tensor:
        scores = logits
        if by_length:
            of = lengths.to(numbers.device)[numbers]
            scores = logits.clone()
            for length in of.unique().tolist():
                some = of == length
                prompt = torch.tensor([prompts[n] for n in numbers[some].tolist()], device=numbers.device)
                scores[some] = lists[length](torch.cat([prompt, so_far[some]], 1), logits[some])
        if decoding.perturb is not None:
            scores = decoding.perturb([places[n] for n in numbers.tolist()], so_far.shape[1], scores)
        return scores

    return process
