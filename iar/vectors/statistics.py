"""What is kept of the activations of a set of pairs: enough for every estimator, of constant size, mergeable.

Means and norms come from running float64 sums over all examples. Probes and sigma need activations themselves: those of
at most ``SAMPLE`` pairs are kept, the ones with the lowest hash of their name. The lowest of a union are the lowest of
its parts' lowest, so statistics of parts merge into what one pass over the whole would have kept. Copies of a pair are
not kept: on one side of a held-out split they would measure memory of the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from iar.pairs.example import Example
from iar.vectors.activations import Pooled

SAMPLE = 256


@dataclass
class Sums:
    """Running sums over pooled activations ``(sites, batch, width)``, float64; a site is a layer or a head.

    Attributes:
        count: (2,) number of unsafe and of safe activations.
        total: (2, sites, width) their sums.
        norm: (sites,) sum of L2 norms over both classes.
    """

    count: Tensor
    total: Tensor
    norm: Tensor

    @classmethod
    def zeros(cls, sites: int, width: int) -> Sums:
        float64 = torch.float64
        return cls(
            torch.zeros(2, dtype=float64),
            torch.zeros(2, sites, width, dtype=float64),
            torch.zeros(sites, dtype=float64),
        )

    def add(self, activations: Tensor, safe: Tensor) -> None:
        """Count a batch: activations (sites, batch, width), safe (batch,) bool."""
        values = activations.to("cpu", torch.float64)
        for label, rows in ((0, ~safe), (1, safe)):
            self.count[label] += rows.sum()
            self.total[label] += values[:, rows].sum(1)
        self.norm += values.norm(dim=-1).sum(1)

    def merge(self, other: Sums) -> Sums:
        """The sums over both parts: what one pass over all of it would have counted."""
        return Sums(self.count + other.count, self.total + other.total, self.norm + other.norm)

    @property
    def means(self) -> Tensor:
        """(2, sites, width) of the unsafe and of the safe activations."""
        return self.total / self.count[:, None, None]

    @property
    def mean_norm(self) -> Tensor:
        """(sites,) over both classes."""
        return self.norm / self.count.sum()


@dataclass
class Sample:
    """Activations of the pairs with the lowest hashes, in the order of the hashes.

    Attributes:
        keys: (examples,) int64 hash of each example's pair.
        safe: (examples,) bool.
        values: (sites, examples, width) float32.
    """

    keys: Tensor
    safe: Tensor
    values: Tensor

    def merge(self, other: Sample, pairs: int = SAMPLE) -> Sample:
        keys, safe = torch.cat([self.keys, other.keys]), torch.cat([self.safe, other.safe])
        values = torch.cat([self.values, other.values], 1)
        kept = keys.unique()[:pairs]  # sorted
        order = torch.argsort(2 * torch.searchsorted(kept, keys.clamp(max=int(kept[-1]))) + safe.long(), stable=True)
        order = order[(keys <= kept[-1])[order]]
        return Sample(keys[order], safe[order], values[:, order])


@dataclass
class Statistics:
    """Sums and sample at layer level, and at head level where heads were read (sites are then layer x head)."""

    sums: Sums
    sample: Sample
    head_sums: Sums | None = None
    head_sample: Sample | None = None

    def merge(self, other: Statistics) -> Statistics:
        """The statistics of both parts, as if read in one pass; exact up to float64 rounding of the sums."""
        merged = Statistics(self.sums.merge(other.sums), self.sample.merge(other.sample))
        if self.head_sums and self.head_sample and other.head_sums and other.head_sample:
            merged.head_sums = self.head_sums.merge(other.head_sums)
            merged.head_sample = self.head_sample.merge(other.head_sample)
        return merged


class Collector:
    """Fills the statistics of one token policy from batches of pooled activations, in any order.

    Args:
        pairs: How many the sample keeps.
        copies: Pairs that it leaves out (`iar.pairs.copies`).
    """

    def __init__(self, examples: Sequence[Example], pairs: int = SAMPLE, copies: Container[str] = ()) -> None:
        self.safe = torch.tensor([example.safe for example in examples])
        keys = torch.tensor([pair_key(example.pair) for example in examples])
        single = torch.tensor([example.pair not in copies for example in examples])
        kept = keys[single].unique()[:pairs]
        chosen = (single & (keys <= kept[-1])).nonzero()[:, 0].tolist()
        order = sorted(chosen, key=lambda i: (int(keys[i]), bool(self.safe[i])))
        self._row = {example: row for row, example in enumerate(order)}
        self._keys, self._safe = keys[order], self.safe[order]
        self.statistics: Statistics | None = None

    def add(self, batch: Pooled, policy: int) -> None:
        """Count one batch's activations under the policy of that index."""
        layers = batch.layers[policy]
        heads = None if batch.heads is None else rearrange(batch.heads[policy], "l b h d -> (l h) b d")
        if self.statistics is None:
            self.statistics = Statistics(*self._empty(layers))
            if heads is not None:
                self.statistics.head_sums, self.statistics.head_sample = self._empty(heads)
        safe = self.safe[batch.index]
        rows = [(self._row[i], at) for at, i in enumerate(batch.index) if i in self._row]
        for values, sums, sample in (
            (layers, self.statistics.sums, self.statistics.sample),
            (heads, self.statistics.head_sums, self.statistics.head_sample),
        ):
            if values is not None and sums is not None and sample is not None:
                sums.add(values, safe)
                if rows:
                    sample.values[:, [row for row, _ in rows]] = values[:, [at for _, at in rows]]

    def _empty(self, values: Tensor) -> tuple[Sums, Sample]:
        sites, _, width = values.shape
        sample = Sample(self._keys, self._safe, torch.zeros(sites, len(self._keys), width))
        return Sums.zeros(sites, width), sample


def pair_key(pair: str) -> int:
    """A hash of the pair's name that fits int64 and never changes: chooses the sample and its held-out part."""
    return int.from_bytes(hashlib.sha256(pair.encode()).digest()[:8], "little") >> 1
