"""What a configuration adds to the model, at block outputs or inside the attention: scaled, times its strength.

    layer level:  h_l[t] + strength * s_l * v_l                 h_l: output of decoder block l
    head level:   z_l^h[t] + strength * s_l^h * v_l^h           z_l^h: output of attention head h of block l

with s = 1 (``raw``), 1 / |v| (``unit``), sigma / |v| (``sigma``) or mean |h| / |v| (``norm``; the mean over the pairs'
pooled activations, so strength 0.1 adds a tenth of their length: a strength that can be compared between models). At
head level with ``sigma`` this is ITI's alpha * sigma * theta (arXiv 2306.03341, eq. 2), which IAR follows (arXiv
2501.16378). A gate multiplies this by its weight of the prompt (`iar.revision.gate`); ``calibrated`` has two weights,
and the second one's vector is that of strength -release. What depends on the activation itself is a rule
(`iar.revision.rule`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from iar.errors import UserError
from iar.revision.configuration import Configuration
from iar.revision.gate import Gate, Kind, both_ways
from iar.revision.heads import best_heads
from iar.revision.rule import Rule
from iar.vectors.random_direction import random_unit
from iar.vectors.vector_set import HeadVectors, VectorSet

if TYPE_CHECKING:
    from iar.vectors.gates import Gates


@dataclass(frozen=True)
class Revision:
    """What is added for one row of a batch; empty for an unsteered row.

    Attributes:
        layers: Block -> (hidden,) float32, added to the block's output; (k, hidden) under a gate of k probes.
        heads: Block -> (heads * head_dim,) float32, added to the input of the block's attention output projection,
            in ``(head dim)`` order; zero for the heads that are not chosen. Under a gate of k probes k rows of these.
        rules: Block -> what is added to its output where that depends on the activation.
        gate: Multiplies all of it by its weight of the prompt; None: by 1.
    """

    layers: Mapping[int, Tensor] = field(default_factory=dict)
    heads: Mapping[int, Tensor] = field(default_factory=dict)
    rules: Mapping[int, Rule] = field(default_factory=dict)
    gate: Gate | None = None

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks that it steers, in order."""
        return tuple(sorted({*self.layers, *self.heads, *self.rules}))


def directions(configuration: Configuration, vectors: VectorSet | None) -> Revision:
    """What to add for a configuration: nothing for the baseline, else at its layers or at its K best heads.

    ``random`` replaces each direction by a seeded normal one and keeps the length (and the choice of heads), so the
    control differs from the real vector in direction only.

    Raises:
        UserError: No vectors given, none of heads, or no gates; a layer outside them; more heads than there are; a
            zero vector that a scale would have to divide by its length; a gate behind what it is to decide.
    """
    if not configuration.steered:
        return Revision()
    if vectors is None:
        raise UserError(f"configuration {configuration.name!r} needs revision vectors: make them with iar.extract")
    for layer in (*configuration.layers, max(0, configuration.gate_layer)):
        if not 0 <= layer < vectors.n_layers:
            raise UserError(f"layer {layer} is outside the model: its layers are 0 to {vectors.n_layers - 1}")
    traits = configuration.traits
    if traits.rule:
        make = import_module(traits.rule).rule
        revision = Revision(rules={layer: make(configuration, vectors, layer) for layer in configuration.layers})
    elif traits.categorical:
        return _categorical(configuration, gates_of(configuration, vectors))
    else:
        revision = _constant(configuration, vectors)
        if traits.releases:
            off = _constant(replace(configuration, strength=-configuration.release), vectors)
            spare = configuration.release_if == "refused"  # what the condition adds: nothing
            layers = _stacked(revision.layers, off.layers, spare)
            revision = Revision(layers, _stacked(revision.heads, off.heads, spare))
    return replace(revision, gate=_gate(configuration, vectors, revision)) if configuration.gated else revision


def gates_of(configuration: Configuration, vectors: VectorSet) -> Gates:
    """The gates of a file.

    Raises:
        UserError: It has none.
    """
    if vectors.gates is None:
        raise UserError(f"configuration {configuration.name!r} needs gates: make them with iar.extract gates=true")
    return vectors.gates


def _constant(configuration: Configuration, vectors: VectorSet) -> Revision:
    """What is added whatever the activation is."""
    if configuration.heads == 0:
        return Revision(layers=_of_layers(configuration, vectors))
    if vectors.heads is None:
        raise UserError(
            f"configuration {configuration.name!r} needs vectors of heads: make them with iar.extract level=head"
        )
    return Revision(heads=_of_heads(configuration, vectors.heads))


def _stacked(one: Mapping[int, Tensor], other: Mapping[int, Tensor], spare: bool) -> dict[int, Tensor]:
    return {layer: torch.stack([one[layer], other[layer], *[0 * one[layer]] * spare]) for layer in one}


def _gate(configuration: Configuration, vectors: VectorSet, revision: Revision) -> Gate:
    gates, first = gates_of(configuration, vectors), revision.blocks[0]
    layer = configuration.gate_at if configuration.gate_at >= 0 else first - 1
    if layer < 0 or layer > first - bool(revision.heads):
        raise UserError(
            f"configuration {configuration.name!r}: its gate would read block {layer}, but its heads begin in block "
            f"{first}: choose heads of later layers (layer=[15,16,…]) or an earlier gate_layer"
        )
    soft = configuration.gate == "soft"
    if configuration.traits.releases:
        probe = gates.weight[layer], gates.bias[layer]
        condition = gates.refusal(layer) if configuration.release_if == "refused" else None
        return both_ways(layer, *probe, configuration.threshold, configuration.release_threshold, soft, condition)
    kind: Kind = "soft" if soft else "hard"
    return Gate(layer, gates.weight[layer][None], gates.bias[layer][None], configuration.threshold, kind)


def _categorical(configuration: Configuration, gates: Gates) -> Revision:
    if not gates.categories:
        raise UserError(f"configuration {configuration.name!r} needs categories, and the pairs name none")
    at = configuration.gate_at
    gate = Gate(at, gates.category_weight[:, at], gates.category_bias[:, at], configuration.threshold, "strongest")
    added = {}
    for layer in configuration.layers:
        vectors = gates.category_vectors[:, layer].float()
        if configuration.scale != "raw":
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        if configuration.traits.draws == "directions":
            units = [
                random_unit(configuration.seed, layer, kind, size=vectors.shape[1]) for kind in range(len(vectors))
            ]
            vectors = torch.stack(units) * vectors.norm(dim=1, keepdim=True)
        added[layer] = configuration.strength * vectors
    return Revision(layers=added, gate=gate)


def _of_layers(configuration: Configuration, vectors: VectorSet) -> dict[int, Tensor]:
    added = {}
    for layer in configuration.layers:
        vector, scale = vectors[layer], configuration.scale
        if scale != "raw" and not vector.any():
            raise UserError(f"the vector of layer {layer} is zero and has no direction: use scale=raw")
        known = scale in ("sigma", "norm")
        sizes: dict[str, Tensor] = {scale: torch.tensor(vectors.length(scale, layer))} if known else {}
        added[layer] = _scaled(configuration, vector, sizes, layer)
    return added


def _of_heads(configuration: Configuration, heads: HeadVectors) -> dict[int, Tensor]:
    added: dict[int, Tensor] = {}
    for layer, head in sorted(best_heads(heads, configuration.heads, configuration.layers)):
        sizes = {"sigma": heads.sigma[layer, head], "norm": heads.mean_norm[layer, head]}
        vector = _scaled(configuration, heads.vectors[layer, head], sizes, layer, head)
        added.setdefault(layer, torch.zeros(heads.vectors.shape[1:]))[head] = vector
    return {layer: vectors.flatten() for layer, vectors in added.items()}


def _scaled(configuration: Configuration, vector: Tensor, sizes: Mapping[str, Tensor], *place: int) -> Tensor:
    vector = vector.float()
    if configuration.scale != "raw":
        vector = vector / vector.norm()
    if configuration.scale in sizes:
        vector = vector * sizes[configuration.scale]
    if configuration.traits.draws == "directions":
        vector = random_unit(configuration.seed, *place, size=vector.numel()) * vector.norm()
    return configuration.strength * vector
