"""Whoever follows answers is told every token and what each gate read, and ends answers, however branches share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from iar.generation.tree import Branch, Decoding, Place, Request, answer
from iar.generation.tree.check import GROW, Mode
from iar.generation.tree.wave import Limits
from iar.models import chat
from iar.models.checkpoint import LoadedModel

NEW, ENDS = 8, (2, 17)


class Followed:
    """Notes what it is told, and ends the answers of some places early."""

    def __init__(self, early: dict[Place, int] | None = None) -> None:
        self.early = early or {}
        self.tokens: dict[Place, list[int]] = {}
        self.gates: dict[Place, Tensor] = {}

    def read(self, place: Place, probabilities: Tensor) -> None:
        self.gates[place] = probabilities.clone()

    def grew(self, places: Sequence[Place], step: int, tokens: Sequence[int]) -> list[bool]:
        for place, token in zip(places, tokens, strict=True):
            assert len(self.tokens.setdefault(place, [])) == step
            self.tokens[place].append(token)
        return [step + 1 == self.early.get(place, NEW + 1) for place in places]


@pytest.fixture(scope="module")
def asked(tiny: LoadedModel, ask: Callable[..., Any], branches: Callable[..., Any]) -> list[Request]:
    return ask(tiny, branches(tiny))[:3]


@pytest.mark.parametrize("mode", GROW)
def test_tokens_and_gates_are_told_and_answers_ended(tiny: LoadedModel, asked: list[Request], mode: Mode) -> None:
    limits = Limits(columns=900, tokens=200, leaves=5, common=0.1)
    expected = dict(GROW["plain"](tiny, asked, Decoding(NEW, frozenset(ENDS))))
    early = {place: 1 + number % 4 for number, place in enumerate(expected) if number % 3 == 0}
    follow = Followed(early)
    found = dict(GROW[mode](tiny, asked, Decoding(NEW, frozenset(ENDS), follow=follow), limits))
    assert found == {place: ids[: early.get(place, NEW)] for place, ids in expected.items()}
    assert follow.tokens == found
    gated = {
        (r, b): branch.revision.gate
        for r, request in enumerate(asked)
        for b, branch in enumerate(request.branches)
        if branch.revision.gate
    }
    assert follow.gates.keys() == gated.keys() and len(gated) == 3 * 6
    for (r, b), gate in gated.items():
        kept: list[Tensor] = []
        block = tiny.decoder.layers[gate.layer]
        handle = block.register_forward_hook(lambda m, a, out, kept=kept: kept.append(out[:, -1]))
        with torch.no_grad():
            tiny.model(**chat.collate(tiny, [dict(asked[r].inputs)]))
        handle.remove()
        assert torch.allclose(follow.gates[r, b], gate.probabilities(kept[0])[0], atol=1e-5)


def test_places_are_those_of_all_requests(tiny: LoadedModel, asked: list[Request]) -> None:
    """`answer` leaves out what is answered already; what is told names the places as they were asked."""
    none: list[Branch] = []
    follow = Followed()
    found = dict(answer(tiny, [Request(asked[0].inputs, none), *asked[1:]], Decoding(NEW, follow=follow)))
    assert follow.tokens == found and {r for r, _ in found} == {1, 2} == {r for r, _ in follow.gates}
