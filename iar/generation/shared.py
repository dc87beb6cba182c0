"""The sharing path: rows of one prompt are branches of one request, and `iar.generation.tree` answers these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from iar.generation.finite import NotFinite
from iar.generation.row import Row, decode, end_tokens
from iar.generation.sampling import GumbelSampling, Sampling
from iar.generation.tree import Branch, Decoding, Limits, Place, Request, answer
from iar.generation.tree.answer import column_bytes
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision

PROMPTS = 256  # held at once with their pixels
_TAIL = 24  # tokens: no stopping text is longer
CPU, ACCELERATOR = 3e12, 3e15  # operations that take about half a minute: two cores, and a small accelerator
FEW = 16  # answers: a pass of fewer is no faster, since it reads the weights all the same


def limits(loaded: LoadedModel, max_kv_gib: float, max_new_tokens: int = 0) -> Limits:
    """Limits whose keys and values take no more than this many GiB, and whose answers about half a minute at a time: by
    counting operations and not by the clock, so that the same command makes the same batches on any day."""
    columns = int(max_kv_gib * 2**30) // column_bytes(loaded)
    most = at_once(loaded, max_new_tokens) if max_new_tokens else Limits.answers
    return Limits(columns=max(1, min(columns, Limits.columns)), answers=most)


def at_once(loaded: LoadedModel, max_new_tokens: int) -> int:
    """Answers of so many tokens that take about half a minute together, but no fewer than FEW."""
    operations = CPU if torch.device(loaded.device).type == "cpu" else ACCELERATOR
    weights = sum(weight.numel() for weight in loaded.model.parameters())
    return max(FEW, int(operations / (2 * weights * max_new_tokens)))


def blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows that are encoded together: all of a prompt's, and of about PROMPTS prompts; those on one image together."""
    ordered = sorted(rows, key=lambda row: (len(row.images), row.images, row.length, row.prompt), reverse=True)
    block: list[Row] = []
    prompts = 0
    for _, alike in groupby(ordered, key=lambda row: row.images or row.prompt):
        found = list(alike)
        new = len({row.prompt for row in found})
        if block and (prompts + new > PROMPTS or len(block[0].images) != len(found[0].images)):
            yield block
            block, prompts = [], 0
        block, prompts = block + found, prompts + new
    if block:
        yield block


def generate(
    loaded: LoadedModel,
    rows: Sequence[Row],
    features: Sequence[dict[str, Tensor]],
    revisions: Sequence[Revision],
    max_new_tokens: int,
    sampling: Sampling | None,
    limits: Limits,
) -> Iterator[tuple[int, list[int]]]:
    """Each row's index and generated ids, as soon as they are there.

    Raises:
        NotFinite: With the indices of rows whose logits are not finite.
    """
    asked: dict[tuple[str, tuple[Path, ...]], list[int]] = {}
    for index, row in enumerate(rows):
        asked.setdefault((row.prompt, row.images), []).append(index)
    members = list(asked.values())
    requests = [
        Request(features[found[0]], [Branch(revisions[i], rows[i].configuration.positions) for i in found])
        for found in members
    ]

    def perturb(places: Sequence[Place], step: int, scores: Tensor) -> Tensor:
        assert sampling is not None
        noise = GumbelSampling(sampling, [rows[members[r][b]].key for r, b in places])
        noise.prompt_length = 0
        return noise(torch.empty(len(places), step), scores)

    def stops(answers: Tensor) -> Tensor:
        texts = (decode(loaded, ids) for ids in answers[:, -_TAIL:].tolist())
        return torch.tensor([any(stop in text for stop in loaded.stop) for text in texts], device=answers.device)

    decoding = Decoding(
        max_new_tokens,
        frozenset(end_tokens(loaded)),
        stops if loaded.stop else None,
        perturb if sampling else None,
    )
    try:
        for (request, branch), ids in answer(loaded, requests, decoding, limits):
            yield members[request][branch], ids
    except NotFinite as error:
        raise NotFinite([members[request][branch] for request, branch in error.which]) from None
