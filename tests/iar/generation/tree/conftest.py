"""Requests to the tiny model, and the plain path: one prompt under one revision at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from iar.generation.tree.request import Branch, Request
from iar.models import chat
from iar.revision.direction import Revision
from iar.revision.gate import Gate, both_ways
from iar.revision.hooks import steering
from tests.iar.models import conftest as tiny_models

if TYPE_CHECKING:
    from iar.models.checkpoint import LoadedModel

family, ask_family, picture = tiny_models.family, tiny_models.ask_family, tiny_models.picture
POSITIONS = ("last", "generated", "prompt", "all")


@pytest.fixture(scope="session")
def branches() -> Callable[..., list[Branch]]:
    """(model, length of a vector) -> unsteered, and each position at several blocks and at heads."""

    def make(loaded: Any, length: float = 20.0) -> list[Branch]:
        generator = torch.Generator().manual_seed(0)

        def vector(size: int) -> Tensor:
            found = torch.randn(size, generator=generator)
            return found / found.norm() * length

        decoder, last = loaded.decoder, len(loaded.decoder) - 1
        revisions = [Revision({0: vector(decoder.hidden_size)})]
        revisions.append(Revision({1: vector(decoder.hidden_size), last: vector(decoder.hidden_size)}))
        if decoder.heads:
            block = next(i for i, end in reversed(list(enumerate(decoder.projections))) if end is not None)
            revisions.append(Revision(heads={block: vector(decoder.heads * decoder.head_size)}))
        found = [Branch(r, positions) for r in revisions for positions in POSITIONS]
        hidden = decoder.hidden_size
        # A soft gate's weight shows in every logit; one of several categories is a choice.
        soft = Gate(0, vector(hidden)[None] / length, torch.zeros(1), kind="soft")
        some = Gate(0, torch.stack([vector(hidden), vector(hidden), vector(hidden)]), torch.zeros(3), 0.1, "strongest")
        gated = [Revision({last: vector(hidden)}, rules={last: Towards(vector(hidden))}, gate=soft)]
        gated.append(Revision({1: torch.stack([vector(hidden), vector(hidden), vector(hidden)])}, gate=some))
        probe = vector(hidden) / length
        ways = both_ways(0, probe, torch.zeros(()), 0.45, 0.45, soft=True)
        gated.append(Revision({last: torch.stack([vector(hidden), vector(hidden)])}, gate=ways))
        found += [Branch(r, positions) for r in gated for positions in ("last", "generated")]
        ruled = Revision(rules={1: Towards(vector(hidden))})
        return [Branch(Revision()), *found, *(Branch(ruled, positions) for positions in POSITIONS)]

    return make


@dataclass(frozen=True)
class Towards:
    """A rule: half of what each activation lacks to a target."""

    target: Tensor

    def added(self, hidden: Tensor) -> Tensor:
        return (self.target.to(hidden) - hidden) / 2


@pytest.fixture(scope="session")
def plain() -> Callable[..., tuple[list[int], Tensor]]:
    """(model, request, branch, tokens, ends) -> the plain path's ids and logits (tokens, vocabulary)."""

    def run(
        loaded: Any, request: Request, branch: Branch, new: int, ends: tuple[int, ...] = ()
    ) -> tuple[list[int], Tensor]:
        batch = chat.collate(loaded, [dict(request.inputs)])
        with torch.no_grad(), steering(loaded.decoder, [branch.revision], [branch.positions]):
            out = loaded.model.generate(
                **batch,
                max_new_tokens=new,
                do_sample=False,
                num_beams=1,
                eos_token_id=list(ends) or None,
                pad_token_id=0,
                return_dict_in_generate=True,
                output_logits=True,
            )
        return out.sequences[0, -len(out.logits) :].tolist(), torch.cat(out.logits).float()

    return run


@pytest.fixture(scope="session")
def ask(images: list[Path]) -> Callable[..., list[Request]]:
    """(model, branches) -> two questions on each of two images, and two without."""

    def make(loaded: LoadedModel, branches: list[Branch]) -> list[Request]:
        shown: list[Any] = [[chat.open_image(path)] for path in images[:2]] + [[]]
        texts = ("Is there a spoon in the image?", "Is there a fish?")
        rendered = [(chat.render(loaded, text, len(image)), image) for image in shown for text in texts]
        return [Request(chat.encode_rendered(loaded, text, image), branches) for text, image in rendered]

    return make
