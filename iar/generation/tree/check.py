"""Whether a model's branches may share their prompt, found out on a tiny request: nothing is taken on trust.

    staged    all branches in one cache under a tree mask; their last prompt tokens join where they begin to differ
    tree      the same, but every block computes every last prompt token
    expanded  the prompt's cache, copied for each branch
    plain     nothing is shared

A mode is taken if it gives the plain path's logits, up to rounding, and its tokens. Families that cannot share differ
by far more: a bidirectional prefix (PaliGemma) sees the last prompt token, cross-attention (Mllama) has columns of its
own, linear attention has none, and flash attention takes no mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from PIL import Image
from torch import Tensor

from iar.errors import UserError
from iar.generation.tree.request import Branch, Decoding, Place, Request
from iar.generation.tree.rows import grow_rows
from iar.generation.tree.sweep import grow_trees
from iar.generation.tree.wave import Limits
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision
from iar.revision.gate import Gate
from iar.terminal.console import console

Mode = Literal["staged", "tree", "expanded", "plain"]
Grow = Callable[..., Iterator[tuple[Place, list[int]]]]
GROW: dict[Mode, Grow] = {
    "staged": grow_trees,
    "tree": partial(grow_trees, staged=False),
    "expanded": partial(grow_rows, shared=True),
    "plain": grow_rows,
}
TOLERANCE = 1e-4  # of the largest logit, in float32
HALF = 5e-2  # in a dtype of 16 bits
# Whatever a family's own code raises when it is given what it does not expect: it cannot be known.
_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_STEPS = 3
_LIMITS = Limits(leaves=6, common=0.1)  # questions share their image, and branches come in two parts
_QUESTIONS = ("Is it red?", "Is it red or blue or green?", "How do I use this?")
_FEW = ((0, 3), (4, 1), (5,))  # of `_branches`: steered throughout; from two blocks on; behind a gate


@dataclass(frozen=True)
class Sharing:
    """Attributes:
    mode: How branches share their prompt.
    reason: One line: how exact it is, and what the modes before it got wrong.
    difference: Largest difference from the plain path's logits, relative to the largest logit.
    """

    mode: Mode
    reason: str
    difference: float = 0.0


_known: WeakKeyDictionary[Any, dict[str, Sharing]] = WeakKeyDictionary()


def self_check(loaded: LoadedModel) -> Sharing:
    """How this model's branches share their prompt; found out once for each model and attention implementation."""
    known = _known.setdefault(loaded.model, {})
    attention = str(getattr(loaded.model.config, "_attn_implementation", ""))
    if attention not in known:
        console.print(f"model {loaded.id!r}: comparing shared computation with the plain path on a few prompts")
        known[attention] = compare(loaded, _requests(loaded))
    return known[attention]


def compare(loaded: LoadedModel, requests: Sequence[Request]) -> Sharing:
    """The first mode that gives what the plain path gives on these requests.

    The first of them that the model takes comes under every branch, and so does each without an image: these are short.
    The others come under one or two branches each.
    """
    asked: list[Request] = []
    branches: list[Branch] = []
    expected: dict[Place, Tensor] = {}
    right: dict[Place, list[int]] = {}
    few = cycle(_FEW)
    for request in sorted(requests, key=_illustrated):
        try:
            branches = branches or _branches(loaded, request)
            some = _illustrated(request) and len(asked) > 0
            request = Request(request.inputs, [branches[b] for b in next(few)] if some else branches)
            logits, answers = _run("plain", loaded, [request])
        except _ERRORS:  # not a request this family takes: without an image, say
            continue
        expected |= {(len(asked), branch): found for (_, branch), found in logits.items()}
        right |= {(len(asked), branch): ids for (_, branch), ids in answers.items()}
        asked.append(request)
    if not asked:
        return Sharing("plain", "nothing is shared: the model could not be asked anything to check it")
    tolerance = TOLERANCE if loaded.model.dtype == torch.float32 else HALF
    problems: list[str] = []
    modes: tuple[Mode, ...] = ("staged", "tree", "expanded")
    for mode in modes:
        try:
            found, answers = _run(mode, loaded, asked)
        except _ERRORS as error:
            problems.append(f"{mode}: {type(error).__name__}")
            continue
        difference = max(_difference(found[p], expected[p], answers[p], right[p]) for p in expected)
        wrong = tolerance == TOLERANCE and answers != right
        if difference <= tolerance and not wrong:
            before = f" ({'; '.join(problems)})" if problems else ""
            return Sharing(mode, f"{mode}: logits as the plain path's up to {difference:.0e}{before}", difference)
        problems.append(f"{mode}: logits differ by {difference:.0e}")
    return Sharing("plain", "nothing is shared between configurations (" + "; ".join(problems) + ")")


def _illustrated(request: Request) -> bool:
    return not all(map(request.along_tokens, request.inputs))


def _run(
    mode: Mode, loaded: LoadedModel, requests: Sequence[Request]
) -> tuple[dict[Place, Tensor], dict[Place, list[int]]]:
    logits: dict[Place, Tensor] = {}
    answers = dict(GROW[mode](loaded, requests, Decoding(_STEPS), _LIMITS, logits=logits))
    return logits, answers


def _difference(found: Tensor, expected: Tensor, answer: list[int], right: list[int]) -> float:
    """Of the logits as far as both answers are the same; infinite where one is not a number."""
    same = next((i for i, pair in enumerate(zip(answer, right, strict=False)) if pair[0] != pair[1]), len(right))
    steps = min(same + 1, len(answer), len(right))
    difference = (found[:steps] - expected[:steps]).abs().max() / expected.abs().max()
    return float(difference.nan_to_num(torch.inf))


def _branches(loaded: LoadedModel, request: Request) -> list[Branch]:
    """Unsteered, and random directions as long as the hidden states: at every position, from several blocks on, in
    heads and behind a gate."""
    decoder, last = loaded.decoder, len(loaded.decoder) - 1
    norm = _norm(loaded, request)
    generator = torch.Generator().manual_seed(0)

    def vector(size: int, length: float) -> Tensor:
        drawn = torch.randn(size, generator=generator)
        scaled: Tensor = drawn / drawn.norm() * length
        return scaled

    hidden = decoder.hidden_size
    middle, early = (Revision({block: vector(hidden, norm)}) for block in (last - last // 2, last // 4))
    # The probe's outputs spread as a normal distribution does, so that the wrong token's weight is another one.
    gate = Gate(last // 4, vector(hidden, hidden**0.5 / norm)[None], torch.zeros(1), kind="soft")
    late = Revision({last: vector(hidden, norm)}, gate=gate)
    found = [Branch(Revision()), *(Branch(middle, positions) for positions in ("last", "generated", "all"))]
    found += [Branch(early), Branch(late)]
    ends = [block for block, end in enumerate(decoder.projections) if end is not None]
    if ends:
        block = ends[3 * len(ends) // 4]
        found.append(Branch(Revision(heads={block: vector(decoder.heads * decoder.head_size, norm)})))
    return found


def _norm(loaded: LoadedModel, request: Request) -> float:
    """The median length of the hidden states that the middle block puts out."""
    norms: list[float] = []

    def measure(module: Any, args: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        norms.append(float(hidden.float().norm(dim=-1).median()))

    handle = loaded.decoder.layers[len(loaded.decoder) // 2].register_forward_hook(measure)
    try:
        with torch.no_grad():
            loaded.model(**chat.collate(loaded, [dict(request.inputs)]))
    finally:
        handle.remove()
    return norms[0] if norms else 1.0


def _requests(loaded: LoadedModel) -> list[Request]:
    """Questions on one image, on another and on none, as far as the model takes them."""
    found = []
    for side, questions in ((32, _QUESTIONS[:2]), (48, _QUESTIONS[2:]), (0, _QUESTIONS[:2])):
        image = [Image.linear_gradient("L").resize((side, 32)).convert("RGB")] if side else []
        for question in questions:
            try:
                rendered = chat.render(loaded, question, len(image))
                found.append(Request(chat.encode_rendered(loaded, rendered, image), ()))
            except UserError:
                break
    return found
