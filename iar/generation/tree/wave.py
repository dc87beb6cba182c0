"""Trees that are computed together: their prefixes once, then every way of steering them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, groupby

import torch
from torch import Tensor

from iar.generation.finite import NotFinite
from iar.generation.tree.cache import TreeCache, join
from iar.generation.tree.decode import Growth, Slots, follower, grow, processor
from iar.generation.tree.layout import Packed, Row, Tree, pack, rows_of, sees_bodies, sees_of_leaves
from iar.generation.tree.passes import Passes, Tokens
from iar.generation.tree.request import Decoding, Place, Request
from iar.generation.tree.stages import Staged, stages
from iar.generation.tree.steer import Steering
from iar.generation.tree.stem import grow_stem
from iar.models.checkpoint import LoadedModel


@dataclass(frozen=True)
class Limits:
    """What may be computed and held at once.

    Attributes:
        columns: Keys and values of so many tokens, over all rows; a single branch is never refused.
        tokens: Tokens a forward pass, about: from some number on more make no pass faster, only bigger.
        leaves: Branches of one tree that grow at once: each looks over the keys of all of them.
        answers: Branches of all trees that grow at once, as far as one of each tree is not more.
        common: Prompts share a tree if they have at least this part of each in common.
    """

    columns: int = 1 << 18
    tokens: int = 4096
    leaves: int = 192
    answers: int = 1 << 20
    common: float = 0.5

    @property
    def smallest(self) -> bool:
        return max(self.columns, self.tokens, self.leaves) == 1

    @property
    def halved(self) -> Limits:
        columns, tokens, leaves = (max(1, limit // 2) for limit in (self.columns, self.tokens, self.leaves))
        return replace(self, columns=columns, tokens=tokens, leaves=leaves)


class Wave:
    """Some trees of a sweep.

    Args:
        number: id of a revision -> its number in `steering`.
        staged: As in `grow_trees`.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        requests: Sequence[Request],
        trees: Sequence[Tree],
        steering: Steering,
        number: Mapping[int, int],
        decoding: Decoding,
        limits: Limits,
        staged: bool = True,
    ) -> None:
        self.loaded, self.requests, self.steering = loaded, requests, steering
        self.decoding, self.limits, self.staged = decoding, limits, staged
        self.rows = [row for stem, tree in enumerate(trees) for row in rows_of(tree, stem, requests, number)]
        starts = [steering.first[row.steered] for row in self.rows if row.steered]
        steering.at = None
        firsts = [requests[tree.members[0]] for tree in trees]
        self.stem = grow_stem(loaded, firsts, [tree.prefix for tree in trees], min(starts, default=None))
        self.passes = Passes(loaded, self.stem.axes)

    def run(self, logits: dict[Place, Tensor] | None = None) -> Iterator[dict[Place, list[int]]]:
        """Every place and its generated ids, those that have ended by now at a time; `logits` is given the logits
        (tokens, vocabulary) of each. To be resumed under the hooks of its steering."""
        for rows, cache in self._batches():
            shared, leaves = 0, self._leaves(rows)
            for start in range(0, max(len(row.branches) for row in rows), leaves):
                part = [row.part(start, start + leaves) for row in rows]
                if start:
                    cache.cut(shared)
                yield from self._grow(part, cache, shared, logits)
                shared = self.stem.columns + max(row.packed for row in part)

    def _columns(self, rows: Sequence[Row], leaves: int) -> int:
        """Of one row, when its branches are as long as they may get."""
        grown = leaves * (1 + self.decoding.max_new_tokens)
        return int(self.stem.lengths.max()) + max(row.packed for row in rows) + grown

    def _leaves(self, rows: Sequence[Row]) -> int:
        room = self.limits.columns // len(rows) - self._columns(rows, 0)
        most = min(self.limits.leaves, self.limits.answers // len(rows))
        return max(1, min(most, room // (1 + self.decoding.max_new_tokens)))

    def _batches(self) -> Iterator[tuple[list[Row], TreeCache]]:
        """Rows that grow together, with the keys of their prefixes: those of the unsteered prompts first."""
        batch: list[Row] = []
        caches: list[TreeCache] = []
        by_revision = groupby(sorted(self.rows, key=lambda row: row.steered), key=lambda row: row.steered)
        for revision, alike in by_revision:
            rows = list(alike)
            if batch:
                both = [*batch, *rows]
                most = max(len(row.branches) for row in both)
                tokens = len(both) * max(row.packed + len(row.branches) for row in both)
                columns = len(both) * self._columns(both, most)
                full = columns > self.limits.columns or tokens > self.limits.tokens or len(both) > self.limits.answers
                if not batch[0].steered or full:
                    yield batch, join(caches)
                    batch, caches = [], []
                    self.stem.cut()
            cache = self.stem.steered(self.steering, revision) if revision else self.stem.cache
            if len(rows) < len(self.stem.lengths):
                stems = torch.tensor([row.stem for row in rows], device=self.loaded.device)
                cache = cache.select(stems, torch.arange(cache.columns, device=stems.device).expand(len(rows), -1))
            batch, caches = batch + rows, [*caches, cache]
        yield batch, join(caches)

    def _grow(
        self, rows: Sequence[Row], cache: TreeCache, shared: int, kept: dict[Place, Tensor] | None
    ) -> Iterator[dict[Place, list[int]]]:
        """Grow the rows' branches on a cache that holds the prefixes, or the first `shared` columns of an earlier
        part of the same rows: the prefixes and bodies."""
        device = self.loaded.device
        packed = pack(rows, device)
        stems = torch.tensor([row.stem for row in rows], device=device)
        length, start = self.stem.lengths[stems, None], self.stem.start[stems, None]
        width, bodies, leaves = self.stem.columns, packed.ids.shape[1], packed.leaf_ids.shape[1]
        prefix = (torch.arange(width, device=device) < length)[:, None]
        own = torch.eye(leaves, dtype=torch.bool, device=device).expand(len(rows), -1, -1)
        leaf_bodies = sees_of_leaves(packed.leaf_question, packed.question)
        sees = torch.cat([prefix.expand(-1, leaves, -1), leaf_bodies, own], 2)
        depth = torch.cat([torch.arange(width, device=device).expand(len(rows), -1), length + packed.depth], 1)
        column_depth = torch.cat([depth, length + packed.leaf_depth], 1)
        leaf_sees, ids, behind, at = sees, packed.leaf_ids, packed.leaf_depth, packed.leaf_steered
        if not shared and bodies:
            body_sees = sees_bodies(packed.question, packed.depth)
            nothing = body_sees.new_zeros(len(rows), bodies, leaves)
            sees = torch.cat([torch.cat([prefix.expand(-1, bodies, -1), body_sees, nothing], 2), sees], 1)
            ids, behind = torch.cat([packed.ids, ids], 1), torch.cat([packed.depth, behind], 1)
            prompt = torch.tensor([[row.steered] for row in rows], device=device)
            at = torch.cat([prompt.expand(-1, bodies), at], 1)
        padding = (at.shape[1] - leaves, 0)
        self.steering.at = at
        self.steering.request = torch.nn.functional.pad(packed.leaf_request, padding, value=-1)
        self.steering.ends = self.steering.request >= 0
        tokens = Tokens(ids, length + behind, start + behind, sees, column_depth)
        with self._in_stages(packed, cache, at.shape[1] - leaves):
            logits = self.passes(cache, tokens, leaves)
        self._tell_gates(rows)
        behind = packed.leaf_depth.gather(1, packed.leaf) + 1
        slots = Slots(
            packed.branch,
            length + behind,
            start + behind,
            packed.steered,
            packed.request,
            leaf_sees.gather(1, packed.leaf[:, :, None].expand(-1, -1, leaf_sees.shape[2])),
        )
        scores = logits.gather(1, packed.leaf[:, :, None].expand(-1, -1, logits.shape[2]))
        places = [branch[0] for branch in chain.from_iterable(row.branches for row in rows)]
        prompts = [self.requests[request].tokens for request, _ in places]
        process = processor(self.loaded.model, self.decoding, prompts, places)
        growth = Growth(slots, cache, column_depth, width + bodies, self.limits.columns)
        left, keep = dict.fromkeys(places), None if kept is None else list[Tensor]()
        try:
            follow = follower(self.decoding, places)
            for found in grow(growth, scores, self.passes, self.steering, self.decoding, process, keep, follow):
                if kept is not None and keep is not None:
                    kept |= {places[n]: torch.stack([step[n] for step in keep[: len(ids)]]) for n, ids in found.items()}
                answers = {places[n]: ids for n, ids in found.items()}
                for place in answers:
                    del left[place]
                yield answers
        except NotFinite as error:
            raise NotFinite(list(left), error.tokens) from None

    def _tell_gates(self, rows: Sequence[Row]) -> None:
        """What the rows' gates have read, to what follows their answers."""
        if self.decoding.follow is None or not self.steering.gated:
            return
        for (request, branch), _, last, answer in chain.from_iterable(row.branches for row in rows):
            gate = self.requests[request].branches[branch].revision.gate
            if gate is not None:
                read = self.steering.read[max(last, answer), request, : len(gate.bias)]
                self.decoding.follow.read((request, branch), read)

    def _in_stages(self, packed: Packed, cache: TreeCache, bodies: int) -> AbstractContextManager[None]:
        """For the pass of bodies and leaves."""
        start = torch.tensor(self.steering.start, device=packed.leaf_steered.device)[packed.leaf_steered]
        found = stages(len(self.steering.decoder), bodies, start, packed.leaf_question) if self.staged else []
        if all(stage.whole for stage in found):
            return nullcontext()
        return Staged(self.steering, cache, cache.columns, found).hooked()
