"""Answer requests under all their branches, in waves of bounded memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from iar.generation.tree.decode import HAND_OVER
from iar.generation.tree.layout import Tree, plant
from iar.generation.tree.request import Decoding, Place, Request
from iar.generation.tree.steer import Steering
from iar.generation.tree.wave import Limits, Wave
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision


def grow_trees(
    loaded: LoadedModel,
    requests: Sequence[Request],
    decoding: Decoding,
    limits: Limits | None = None,
    logits: dict[Place, Tensor] | None = None,
    staged: bool = True,
) -> Iterator[tuple[Place, list[int]]]:
    """Each place (request, branch) and its generated ids, when its wave is done, and of a slow model soon after it has
    ended (`decode.HAND_OVER`).

    Args:
        logits: Is given the logits (tokens, vocabulary) of every place.
        staged: Compute the last token of a prompt under each revision from where it differs on (`stages`), and not in
            all blocks.
    """
    limits = limits or Limits()
    revisions: dict[int, Revision] = {}
    for request in requests:
        revisions |= {id(branch.revision): branch.revision for branch in request.branches if branch.steered}
    number = {key: i + 1 for i, key in enumerate(revisions)}
    steering = Steering(loaded.decoder, list(revisions.values()), len(requests))
    trees = plant(requests, image_tokens(loaded), limits.common)
    for wave in waves(trees, requests, decoding, limits):
        with torch.no_grad(), steering.hooked():
            growing = Wave(loaded, requests, wave, steering, number, decoding, limits, staged).run(logits)
        ended: dict[Place, list[int]] = {}
        since = time.monotonic()
        while True:
            with torch.no_grad(), steering.hooked():  # never while the caller has the turn: it may ask the model
                found = next(growing, None)
            ended |= found or {}
            if found is None or time.monotonic() - since > HAND_OVER:
                yield from ended.items()
                ended, since = {}, time.monotonic()
            if found is None:
                break


def image_tokens(loaded: LoadedModel) -> set[int]:
    """The token ids that stand for images or videos."""
    config = loaded.model.config
    names = (f"{kind}_token_{end}" for kind in ("image", "video") for end in ("id", "index"))
    return {token for name in names if isinstance(token := getattr(config, name, None), int)}


def waves(
    trees: Sequence[Tree], requests: Sequence[Request], decoding: Decoding, limits: Limits
) -> Iterator[list[Tree]]:
    """Trees alike in kind, branches and length; the biggest first, so that a wave too big fails at once."""

    def kind(tree: Tree) -> tuple[bool, bool]:
        first = requests[tree.members[0]]
        return not all(map(first.along_tokens, first.inputs)), tree.prefix > 0

    def size(tree: Tree) -> tuple[int, int, int]:
        branches = sum(len(requests[i].branches) for i in tree.members)
        bodies = sum(len(requests[i].tokens) - tree.prefix - 1 for i in tree.members)
        return tree.prefix, min(branches, limits.leaves), bodies

    wave: list[Tree] = []
    prefix = branches = bodies = 0
    for tree in sorted(trees, key=lambda tree: (kind(tree), size(tree)), reverse=True):
        wider = tuple(map(max, (prefix, branches, bodies), size(tree)))
        rows, behind = len(wave) + 1, wider[2] + wider[1]
        columns = rows * (wider[0] + behind + wider[1] * decoding.max_new_tokens)
        full = columns > limits.columns or rows * max(wider[0], behind) > limits.tokens or rows > limits.answers
        if wave and (full or kind(wave[0]) != kind(tree)):
            yield wave
            wave, wider = [], size(tree)
        wave.append(tree)
        prefix, branches, bodies = wider
    if wave:
        yield wave
