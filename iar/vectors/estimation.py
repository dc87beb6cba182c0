"""From pairs to revision vectors: one pass of the model for any number of estimators and token policies.

Estimators, all of the length of the mass mean shift, so that a strength means the same push under each (not with
``scale=sigma``: sigma is the spread along each direction itself, and least along a random one):

* ``mms``: mass mean shift itself (`iar.vectors.mass_mean_shift`).
* ``pwd``: probe weight direction, the normal of the linear probe's boundary (`iar.vectors.probe`; ITI's other one).
* ``random``: a seeded random direction (`iar.vectors.random_direction`), the control.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor

from iar.errors import UserError, did_you_mean
from iar.models.checkpoint import LoadedModel
from iar.pairs.example import Example, copies
from iar.vectors import probe
from iar.vectors.activations import pooled
from iar.vectors.estimator import Estimator
from iar.vectors.header import header
from iar.vectors.mass_mean_shift import mass_mean_shift
from iar.vectors.random_direction import random_unit
from iar.vectors.statistics import SAMPLE, Collector, Sample, Statistics, Sums
from iar.vectors.vector_set import HeadVectors, VectorSet

ESTIMATORS: tuple[str, ...] = get_args(Estimator)


def collect(
    loaded: LoadedModel,
    examples: Sequence[Example],
    policies: Sequence[str] = ("mean",),
    *,
    heads: bool = True,
    batch_size: int = 32,
    side: str = "right",
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Statistics]:
    """Run the model over the examples once; the statistics of each token policy, whose size does not depend on theirs.

    Args:
        heads: Read the heads too.
        batch_size: Examples a forward pass.
        side: Padding side; the result does not depend on it.
        on_progress: Called with (examples done, examples in all) after every batch.

    Raises:
        UserError: Unknown policy, fewer than two pairs, no example of a side, or what `iar.vectors.activations` raises.
    """
    if (count := len({example.pair for example in examples})) < 2:
        raise UserError(f"{count} pair(s) given: a revision vector needs at least 2, see limit and pairs.limit")
    for side_name, safe in (("safe", True), ("unsafe", False)):
        if not any(example.safe is safe for example in examples):
            raise UserError(f"no {side_name} example among {len(examples)}: a revision vector needs both sides")
    if "last_prompt" in policies and _same_prompts(examples):
        raise UserError("tokens=last_prompt reads the same prompt on both sides of every pair: use mean or last")
    repeated = copies(examples)
    collectors = [Collector(examples, SAMPLE, repeated) for _ in policies]
    done = 0
    for batch in pooled(loaded, examples, policies, heads=heads, batch_size=batch_size, side=side):
        for index, collector in enumerate(collectors):
            collector.add(batch, index)
        done += len(batch.index)
        if on_progress:
            on_progress(done, len(examples))
    return {policy: c.statistics for policy, c in zip(policies, collectors, strict=True) if c.statistics is not None}


def estimate(
    loaded: LoadedModel,
    examples: Sequence[Example],
    *,
    estimator: str = "mms",
    tokens: str = "mean",
    pairs: str = "multi_response",
    strategy: str = "multi_response",
    heads: bool = True,
    batch_size: int = 32,
    seed: int = 0,
) -> VectorSet:
    """The vectors of one estimator and token policy, with their header; `collect` serves several from one pass.

    Args:
        pairs, strategy: What the header says of the examples.
        heads: Estimate the heads' vectors too.

    Raises:
        UserError: As `collect` and `from_statistics`; a layer's vector has length 0.
    """
    heads = heads and any(projection is not None for projection in loaded.decoder.projections)
    statistics = collect(loaded, examples, [tokens], heads=heads, batch_size=batch_size)[tokens]
    vectors = from_statistics(statistics, [estimator], n_layers=len(loaded.decoder), seed=seed)[estimator]
    if vectors.problem:
        raise UserError(vectors.problem)
    made = header(loaded, examples, pairs=pairs, strategy=strategy, estimator=estimator, tokens=tokens, seed=seed)
    return replace(vectors, header=made)


def from_statistics(
    statistics: Statistics, estimators: Sequence[str] = ("mms",), *, n_layers: int, seed: int = 0
) -> dict[str, VectorSet]:
    """The vectors of each estimator, without a header.

    Args:
        n_layers: Layers of the model, by which the heads are grouped.
        seed: Of the ``random`` directions.

    Raises:
        UserError: Unknown estimator.
    """
    for name in estimators:
        if name not in ESTIMATORS:
            raise UserError(f"unknown estimator {name!r}: {did_you_mean(name, ESTIMATORS)}")
    layer_probes = probe.fit(statistics.sample)
    head_probes = probe.fit(statistics.head_sample) if statistics.head_sample else None
    found = {}
    for name in estimators:
        vectors = _vectors(name, statistics.sums, layer_probes, seed, per_layer=1)
        sigma, separation = _spread(vectors, statistics.sample)
        heads = None
        if statistics.head_sums and statistics.head_sample and head_probes:
            per_layer = len(statistics.head_sums.norm) // n_layers
            of_heads = _vectors(name, statistics.head_sums, head_probes, seed, per_layer)
            head_sigma, _ = _spread(of_heads, statistics.head_sample)
            parts = (of_heads, statistics.head_sums.mean_norm, head_sigma, head_probes.accuracy)
            heads = HeadVectors(*(part.float().unflatten(0, (n_layers, per_layer)) for part in parts))
        norm, accuracy = statistics.sums.mean_norm, layer_probes.accuracy
        found[name] = VectorSet(vectors.float(), norm.float(), sigma.float(), separation.float(), accuracy, heads)
    return found


def _same_prompts(examples: Sequence[Example]) -> bool:
    """Whether only responses differ, as in multi-response pairs."""
    safe, unsafe = ({(e.pair, e.prompt, e.image) for e in examples if e.safe is side} for side in (True, False))
    return safe == unsafe


def _vectors(estimator: str, sums: Sums, probes: probe.Probes, seed: int, per_layer: int) -> Tensor:
    """(sites, width) float64; a site is a layer, or a head when a layer has several."""
    shift = mass_mean_shift(sums)
    if estimator == "mms":
        return shift
    if estimator == "pwd":
        directions = probes.directions
    else:
        places = [(i // per_layer, i % per_layer) if per_layer > 1 else (i,) for i in range(len(shift))]
        directions = torch.stack([random_unit(seed, *place, size=shift.shape[1]) for place in places])
    scaled: Tensor = directions.double() * shift.norm(dim=-1, keepdim=True)
    return scaled


def _spread(vectors: Tensor, sample: Sample) -> tuple[Tensor, Tensor]:
    """Sigma of the sample's projections on the unit vectors, and d' of its classes; both (sites,), 0 for a zero vector.

    sigma is over both classes together, as ITI's (no labels needed); d' is the difference of the classes' means over
    their pooled standard deviation.
    """
    length = vectors.norm(dim=-1, keepdim=True)
    unit = torch.where(length > 0, vectors / length, 0.0)
    sigma, separation = torch.zeros(len(vectors), dtype=torch.float64), torch.zeros(len(vectors), dtype=torch.float64)
    for site, values in enumerate(sample.values):  # one at a time: float64 copies of all of them would be large
        projected = values.double() @ unit[site]
        safe, unsafe = projected[sample.safe], projected[~sample.safe]
        within = (safe.var(correction=0) * len(safe) + unsafe.var(correction=0) * len(unsafe)) / len(projected)
        sigma[site] = projected.std(correction=0)
        if within > 0:
            separation[site] = (safe.mean() - unsafe.mean()) / within.sqrt()
    return sigma, separation
