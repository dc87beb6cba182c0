"""Controls of a gate that need none in the model: whole prompts are sent one way or the other.

``gate`` answers with a fixed refusal where the gate fires and leaves the model alone elsewhere: what the gate alone is
worth. ``random_gate`` steers a prompt with the probability with which the gate fires on the prompts it was fitted on,
by a coin that depends on the seed and the prompt: what steering so many prompts is worth without knowing which.
``calibrated_random_gate`` also takes the vector off as often as the gate reads harmless there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from iar.errors import UserError
from iar.generation.row import Row
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.configuration import Configuration
from iar.revision.gate import Gate
from iar.vectors.gates import Gates

REFUSAL = "I am sorry, I cannot help with that."


def unsteered(configuration: Configuration) -> Configuration:
    """The same prompting, nothing added."""
    return _steered_by(configuration, "none")


def tossed(configuration: Configuration, gate: Gate, gates: Gates, row: Row) -> Configuration:
    """What a random gate makes of a prompt: the plain method, with the vector added or taken off, or none."""
    named = f"{configuration.seed}|{row.prompt}|{[image.name for image in row.images]}"
    coin = int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "little") / 2**64
    if coin < gates.rate_at(gate.layer, configuration.threshold):
        return _steered_by(configuration, "iar")
    if configuration.traits.releases:
        released = gates.released_at(gate.layer, configuration.release_threshold, configuration.release_if == "refused")
        if coin >= 1 - released:
            return _steered_by(replace(configuration, strength=-configuration.release), "iar")
    return unsteered(configuration)


def _steered_by(configuration: Configuration, steering: str) -> Configuration:
    method = "+".join((*configuration.prompting, steering))
    if steering == "none":
        said = {name: getattr(configuration, name) for name in ("reminder", "shots", "shots_by", "shots_seed")}
        return Configuration(method=method, **said)
    return replace(configuration, method=method, seed=0, gate_layer=-1, threshold=0.5, gate="hard")


def fired(
    loaded: LoadedModel, rows: Sequence[Row], gate: Gate, batch_size: int
) -> Iterator[tuple[Row, bool | UserError]]:
    """Each row, and whether the gate fires at the end of its prompt, or why the prompt cannot be read."""
    readable: list[tuple[Row, dict[str, Any]]] = []
    for row in sorted(rows, key=lambda row: (len(row.images), row.length, row.prompt)):
        try:
            images = [chat.open_image(path) for path in row.images]
            readable.append((row, chat.encode_rendered(loaded, row.prompt, images)))
        except UserError as error:
            yield row, error
        if len(readable) == batch_size:
            yield from _fired(loaded, readable, gate)
            readable = []
    if readable:
        yield from _fired(loaded, readable, gate)


def _fired(loaded: LoadedModel, rows: Sequence[tuple[Row, Any]], gate: Gate) -> Iterator[tuple[Row, bool]]:
    kept: list[torch.Tensor] = []

    def keep(module: Any, args: Any, output: Any) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output)[:, -1])

    handle = loaded.decoder.layers[gate.layer].register_forward_hook(keep)
    try:
        for group in _alike(rows):
            with torch.no_grad():
                loaded.model(**chat.collate(loaded, [features for _, features in group], side="left"))
            fires = gate.weights(kept.pop())[:, 0] > 0
            yield from ((row, bool(fire)) for (row, _), fire in zip(group, fires, strict=True))
    finally:
        handle.remove()


def _alike(rows: Sequence[tuple[Row, Any]]) -> list[list[tuple[Row, Any]]]:
    """Rows of as many images together: some families do not take both in a batch."""
    groups: dict[int, list[tuple[Row, Any]]] = {}
    for row, features in rows:
        groups.setdefault(len(row.images), []).append((row, features))
    return list(groups.values())
