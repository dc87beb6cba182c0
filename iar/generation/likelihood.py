"""How likely the unsteered model finds answers that are given: each distinct prompt is computed once for all of them.

    nll_t = -log p(a_t | prompt, a_1 ... a_{t-1})        in nats

An answer is text, so it is cut into tokens again: behind its prompt, where the chat template would put it. What ends
an answer is not part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from iar.errors import UserError
from iar.generation.tree.answer import out_of_memory
from iar.generation.tree.passes import Passes, Tokens
from iar.generation.tree.request import Request
from iar.generation.tree.stem import Stem, grow_stem, last_only
from iar.generation.tree.wave import Limits
from iar.models import chat, tokens
from iar.models.checkpoint import LoadedModel

PROMPTS = 256  # held at once with their pixels
_LOGITS = 1 << 26  # held at once, over rows, tokens and the vocabulary


@dataclass(frozen=True)
class Given:
    """An answer to a prompt.

    Attributes:
        prompt: As the chat template writes it, open for the answer.
        images: Of the prompt.
        answer: What stands behind it, with the space between the two (`space`).
    """

    prompt: str
    images: tuple[Path, ...]
    answer: str


@dataclass(frozen=True)
class _Row:
    """An answer behind the part of its prompt that is shared.

    Attributes:
        index: Which of those given.
        prompt: Which prompt of its block.
        shared: Tokens of the prompt that all answers to it share.
        before: Those behind them, at least the last one.
        answer: Its tokens.
    """

    index: int
    prompt: int
    shared: int
    before: list[int]
    answer: list[int]

    @property
    def read(self) -> list[int]:
        """What the model reads to tell all tokens of the answer."""
        return self.before + self.answer[:-1]


def space(loaded: LoadedModel) -> str:
    """The blanks that the chat template writes between an open question and its answer.

    >>> # "USER: Hi ASSISTANT:" and "USER: Hi ASSISTANT: Yes" give " "
    """
    try:
        prompt, whole = chat.render(loaded, "Hi"), chat.render(loaded, "Hi", response="Yes")
    except UserError:  # a template that writes an answered question differently from an open one
        return ""
    between = whole[len(prompt) : -len("Yes")]
    return "" if between.strip() else between


def score(
    loaded: LoadedModel, given: Sequence[Given], share: bool = True, limits: Limits | None = None
) -> Iterator[tuple[int, list[float]]]:
    """Index of each answer and its tokens' negative log-likelihoods in nats, in no order. In float32 they are those of
    the prompt and the answer read alone, up to rounding. Nothing, an empty list, for an empty answer, one that spells a
    control token, or a prompt that cannot be read.

    Args:
        share: Compute what a prompt's answers have in common once; for models whose branches may share a cache
            (`iar.generation.tree.self_check`).
        limits: When memory runs out, what is left goes on under half of these.

    Raises:
        RuntimeError: Out of memory for a single answer.
    """
    limits = limits or Limits()
    for block in _blocks(loaded, given):
        requests: list[Request] = []
        rows: list[_Row] = []
        for members in block:
            found = _read(loaded, given, members, len(requests))
            if isinstance(found, UserError):
                yield from ((index, []) for index in members)
                continue
            requests.append(found[0])
            rows += found[1]
            scored = {row.index for row in found[1]}
            yield from ((index, []) for index in members if index not in scored)
        while rows:
            done = []
            try:
                for index, nll in _score(loaded, requests, rows, share, limits):
                    done.append(index)
                    yield index, nll
            except RuntimeError as error:
                if not out_of_memory(error) or limits.smallest:
                    raise
                limits = limits.halved
            rows = [row for row in rows if row.index not in set(done)]


def _blocks(loaded: LoadedModel, given: Sequence[Given]) -> Iterator[list[list[int]]]:
    """Indices by prompt, those of about PROMPTS prompts together; the longest first, with as many images each."""
    prompts: dict[tuple[str, tuple[Path, ...]], list[int]] = {}
    for index, one in enumerate(given):
        prompts.setdefault((one.prompt, one.images), []).append(index)
    lengths = {prompt: chat.text_length(loaded, prompt) for prompt, _ in prompts}
    ordered = sorted(prompts, key=lambda asked: (len(asked[1]), lengths[asked[0]], asked), reverse=True)
    for _, alike in groupby(ordered, key=lambda asked: len(asked[1])):
        found = [prompts[asked] for asked in alike]
        yield from (found[start : start + PROMPTS] for start in range(0, len(found), PROMPTS))


def _read(
    loaded: LoadedModel, given: Sequence[Given], members: Sequence[int], place: int
) -> tuple[Request, list[_Row]] | UserError:
    """A prompt as the model's inputs, and the answers to it that can be scored."""
    first = given[members[0]]
    try:
        images = [chat.open_image(path) for path in first.images]
        request = Request(chat.encode_rendered(loaded, first.prompt, images), ())
    except UserError as error:
        return error
    open_, answers = chat.token_ids(loaded, first.prompt), {}
    for index in members:
        if given[index].answer.strip() and not tokens.control(loaded.processor, given[index].answer):
            whole = chat.token_ids(loaded, first.prompt + given[index].answer)
            # A tokenizer may merge across the seam: what is the same before it belongs to the prompt.
            same = next((i for i, pair in enumerate(zip(open_, whole, strict=False)) if pair[0] != pair[1]), len(open_))
            answers[index] = (len(open_) - same, whole[same:])
    back = 1 + max((merged for merged, _ in answers.values()), default=0)
    shared, ends = len(request.tokens) - back, request.tokens[-back:]
    rows = [_Row(index, place, shared, ends[: back - merged], ids) for index, (merged, ids) in answers.items() if ids]
    return request, rows


def _score(
    loaded: LoadedModel, requests: Sequence[Request], rows: Sequence[_Row], share: bool, limits: Limits
) -> Iterator[tuple[int, list[float]]]:
    """The rows of a block."""
    shared = {row.prompt: row.shared for row in rows if share and row.shared > 0}
    most = max(1, min(limits.tokens, _LOGITS // len(loaded.tokenizer)))
    with torch.no_grad():
        for batch in _batches([row for row in rows if row.prompt not in shared], most, limits.columns, whole=True):
            yield from _plain(loaded, requests, batch)
        for wave in _waves(shared, limits):
            stem = grow_stem(loaded, [requests[prompt] for prompt in wave], [shared[prompt] for prompt in wave])
            passes, at = Passes(loaded, stem.axes), {prompt: place for place, prompt in enumerate(wave)}
            for batch in _batches([row for row in rows if row.prompt in at], most, limits.columns):
                yield from _behind_stem(loaded, stem, passes, [at[row.prompt] for row in batch], batch)


def _waves(stems: Mapping[int, int], limits: Limits) -> Iterator[list[int]]:
    """Prompts whose shared parts are computed together.

    Args:
        stems: Prompt -> its shared tokens.
    """
    wave: list[int] = []
    for prompt in sorted(stems, key=lambda prompt: stems[prompt], reverse=True):
        columns = (len(wave) + 1) * stems[(wave or [prompt])[0]]
        if wave and (columns > limits.tokens or 2 * columns > limits.columns):
            yield wave
            wave = []
        wave.append(prompt)
    if wave:
        yield wave


def _batches(rows: Sequence[_Row], most: int, columns: int, whole: bool = False) -> Iterator[list[_Row]]:
    """Rows that are computed together, the longest first.

    Args:
        most: Tokens of a pass, about.
        columns: Keys and values held at once.
        whole: The shared parts of prompts are computed too.
    """

    def width(row: _Row) -> int:
        return len(row.read) + whole * row.shared

    batch: list[_Row] = []
    longest = 0
    for row in sorted(rows, key=lambda row: (width(row), row.index), reverse=True):
        longest, size = max(longest, row.shared), len(batch) + 1
        first = width((batch or [row])[0])
        if batch and (size * first > most or size * (first + longest) > columns):
            yield batch
            batch, longest = [], row.shared
        batch.append(row)
    if batch:
        yield batch


def _behind_stem(
    loaded: LoadedModel, stem: Stem, passes: Passes, at: Sequence[int], rows: Sequence[_Row]
) -> Iterator[tuple[int, list[float]]]:
    """Rows on copies of their prompts' keys and values.

    Args:
        at: Which row of the stem is each row's prompt.
    """
    device, columns = loaded.device, stem.columns
    chosen = torch.tensor(at, device=device)
    cache = stem.cache.select(chosen, torch.arange(columns, device=device).expand(len(rows), -1))
    width = max(len(row.read) for row in rows)
    ids = torch.tensor([row.read + [0] * (width - len(row.read)) for row in rows], device=device)
    length, start, own = stem.lengths[chosen, None], stem.start[chosen, None], torch.arange(width, device=device)
    prefix = (torch.arange(columns, device=device) < length)[:, None].expand(-1, width, -1)
    causal = (own[None] <= own[:, None]).expand(len(rows), -1, -1)
    depth = length + own
    column_depth = torch.cat([torch.arange(columns, device=device).expand(len(rows), -1), depth], 1)
    asked = Tokens(ids, depth, start + own, torch.cat([prefix, causal], 2), column_depth)
    yield from _told(rows, passes(cache, asked, width), [len(row.before) - 1 for row in rows])


def _plain(loaded: LoadedModel, requests: Sequence[Request], rows: Sequence[_Row]) -> Iterator[tuple[int, list[float]]]:
    """Prompts and answers read whole, padded on the right."""
    firsts = [row.shared + len(row.before) - 1 for row in rows]
    batch = chat.collate(loaded, [_continued(requests[row.prompt], row) for row in rows], side="right")
    width = batch["input_ids"].shape[1]
    keep = width - min(firsts)
    model: Any = loaded.model
    logits = model(**batch, **last_only(model, keep)).logits[:, -keep:].float()
    yield from _told(rows, logits, [first - (width - keep) for first in firsts])


def _continued(request: Request, row: _Row) -> dict[str, Tensor]:
    """The prompt's inputs with the answer's tokens behind them. What else runs along the tokens (a mask, kinds of
    tokens) goes on as it ends: as at the last token of the prompt, which is text."""
    found = {}
    for name, value in request.inputs.items():
        if request.along_tokens(name):
            value = value[:, : row.shared + len(row.before)]
            more = value[:, -1:].expand(-1, len(row.answer) - 1, *value.shape[2:])
            if name == "input_ids":
                more = torch.tensor([row.answer[:-1]], dtype=value.dtype, device=value.device)
            value = torch.cat([value, more], 1)
        found[name] = value
    return found


def _told(rows: Sequence[_Row], logits: Tensor, firsts: Sequence[int]) -> Iterator[tuple[int, list[float]]]:
    """What logits (rows, tokens, vocabulary) say of the answers, whose first tokens are told at these places."""
    whole = logits.logsumexp(-1)
    for i, (row, first) in enumerate(zip(rows, firsts, strict=True)):
        places = torch.arange(first, first + len(row.answer), device=logits.device)
        answer = torch.tensor(row.answer, device=logits.device)
        yield row.index, (whole[i, places] - logits[i, places, answer]).tolist()
