"""Memory that runs out costs time, no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from iar.generation.tree import Branch, Decoding, Limits, Request, answer
from iar.generation.tree.answer import column_bytes
from iar.generation.tree.passes import Passes, Tokens
from iar.generation.tree.sweep import grow_trees
from iar.models.checkpoint import LoadedModel


@pytest.fixture(scope="module")
def asked(tiny: LoadedModel, ask: Callable[..., Any], branches: Callable[..., Any]) -> list[Request]:
    return ask(tiny, branches(tiny))


def scarce(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Passes over more than so many tokens run out of memory; the tokens of each pass, wasted ones included."""
    seen: list[int] = []
    run = Passes.__call__

    def limited(self: Passes, cache: Any, tokens: Tokens, logits: int) -> Any:
        seen.append(tokens.ids.numel())
        if tokens.ids.numel() > most:
            raise torch.OutOfMemoryError("out of memory")
        return run(self, cache, tokens, logits)

    monkeypatch.setattr(Passes, "__call__", limited)
    return seen


def test_half_of_it_is_tried_again(tiny: LoadedModel, asked: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = dict(grow_trees(tiny, asked, Decoding(4)))
    list(answer(tiny, asked[:1], Decoding(1)))  # the check has its own passes
    seen = scarce(monkeypatch, 20)
    found = list(answer(tiny, asked, Decoding(4), Limits(tokens=400)))
    assert len(found) == len(expected) and dict(found) == expected
    assert max(seen) > 20 and sum(n > 20 for n in seen) <= 8


def test_there_is_an_end_to_it(tiny: LoadedModel, asked: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    list(answer(tiny, asked[:1], Decoding(1)))
    scarce(monkeypatch, 0)
    with pytest.raises(torch.OutOfMemoryError):
        list(answer(tiny, asked, Decoding(1)))


def test_other_errors_are_not_taken_for_it(tiny: LoadedModel, asked: list[Request]) -> None:
    def broken(places: Any, step: int, scores: Any) -> Any:
        raise RuntimeError("not about memory")

    with pytest.raises(RuntimeError, match="not about memory"):
        list(answer(tiny, asked, Decoding(1, perturb=broken)))


def test_places_stay_what_they_are(tiny: LoadedModel, asked: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a second try is given only a part of the requests."""
    seen: set[tuple[int, int]] = set()

    def perturb(places: Any, step: int, scores: Any) -> Any:
        seen.update(places)
        return scores

    list(answer(tiny, asked[:1], Decoding(1)))
    scarce(monkeypatch, 20)
    found = dict(answer(tiny, asked, Decoding(2, perturb=perturb), Limits(tokens=400)))
    assert seen == set(found) == {(r, b) for r in range(6) for b in range(len(asked[0].branches))}


def test_bytes_of_a_column(tiny: LoadedModel) -> None:
    assert column_bytes(tiny) == 6 * 4 * 2 * 8 * 4  # blocks, heads, keys and values, head size, bytes


def test_every_branch_is_answered(tiny: LoadedModel, asked: list[Request]) -> None:
    none = [Request(asked[0].inputs, []), Request(asked[1].inputs, [Branch(asked[0].branches[0].revision)])]
    assert [place for place, _ in answer(tiny, none, Decoding(1))] == [(1, 0)]
