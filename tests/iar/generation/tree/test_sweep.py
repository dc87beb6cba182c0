"""Trees give what the plain path gives, one prompt under one revision at a time, at a fraction of its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from iar.generation.sampling import GumbelSampling, Sampling
from iar.generation.tree import decode, sweep
from iar.generation.tree.cache import TreeCache
from iar.generation.tree.request import Branch, Decoding, Place, Request
from iar.generation.tree.sweep import grow_trees
from iar.generation.tree.wave import Limits
from iar.models import load
from iar.models.checkpoint import LoadedModel
from iar.models.pocket import WEIGHTS
from iar.revision.direction import Revision

NEW, ENDS = 8, (2, 17)
SMALL = Limits(columns=700, tokens=90, leaves=5, common=0.1)


@pytest.fixture(scope="module")
def asked(tiny: LoadedModel, ask: Callable[..., list[Request]], branches: Callable[..., list[Branch]]) -> list[Request]:
    return ask(tiny, branches(tiny))


@pytest.fixture(scope="module")
def expected(
    tiny: LoadedModel, asked: list[Request], plain: Callable[..., Any]
) -> dict[Place, tuple[list[int], Tensor]]:
    return {
        (r, b): plain(tiny, request, branch, NEW, ENDS)
        for r, request in enumerate(asked)
        for b, branch in enumerate(request.branches)
    }


@pytest.mark.parametrize(("limits", "few"), [(Limits(common=0.1), 6), (SMALL, 6), (Limits(1, 1, 1), 2)])
def test_tokens_and_logits_are_the_plain_paths(
    tiny: LoadedModel, asked: list[Request], expected: dict[Place, tuple[list[int], Tensor]], limits: Limits, few: int
) -> None:
    logits: dict[Place, Tensor] = {}
    found = dict(grow_trees(tiny, asked[:few], Decoding(NEW, frozenset(ENDS)), limits, logits))
    wanted = {place: answer for place, answer in expected.items() if place[0] < few}
    assert found == {place: ids for place, (ids, _) in wanted.items()}
    for place, (ids, theirs) in wanted.items():
        assert logits[place].shape == (len(ids), theirs.shape[1])
        assert (logits[place] - theirs).abs().max() < 1e-4 * theirs.abs().max()
    assert len({tuple(ids) for ids in found.values()}) > 0.5 * len(found)
    assert {len(ids) for ids in found.values()} > {NEW}  # some answers end before others


def test_pocket(
    ask: Callable[..., list[Request]], branches: Callable[..., list[Branch]], plain: Callable[..., Any]
) -> None:
    pocket = load(WEIGHTS)
    asked = ask(pocket, branches(pocket, 12.0))[1:5]
    logits: dict[Place, Tensor] = {}
    found = dict(grow_trees(pocket, asked, Decoding(5, frozenset({2})), logits=logits))
    for r, b in list(found)[::4]:
        ids, theirs = plain(pocket, asked[r], asked[r].branches[b], 5, (2,))
        assert found[r, b] == ids
        assert (logits[r, b] - theirs).abs().max() < 1e-4
    assert len({tuple(ids) for ids in found.values()}) > 10


def test_a_prompt_is_computed_once(tiny: LoadedModel, asked: list[Request]) -> None:
    """With positions=last: the prefix of each image, its questions, and one leaf for each way of steering."""
    ways = [*asked[0].branches[:2], Branch(Revision(heads={0: torch.ones(32)}))]
    last = [Request(request.inputs, ways) for request in asked]
    seen: list[int] = []
    images: list[int] = []
    handles = [
        tiny.decoder.layers[0].register_forward_pre_hook(lambda m, args: seen.append(args[0].shape[:2].numel())),
        tiny.model.model.vision_tower.register_forward_pre_hook(  # type: ignore[union-attr]
            lambda m, args, named: images.append(len(args[0] if args else named["pixel_values"])), with_kwargs=True
        ),
    ]
    list(grow_trees(tiny, last, Decoding(1), Limits(common=0.1)))
    for handle in handles:
        handle.remove()
    lengths = [len(request.tokens) for request in last]
    shared = [
        next(i for i, pair in enumerate(zip(one.tokens, two.tokens, strict=False)) if pair[0] != pair[1])
        for one, two in zip(last[::2], last[1::2], strict=True)
    ]
    needed = sum(lengths) - sum(shared) + 2 * len(last) - len(last)  # two leaves in place of one last token: heads
    padding = 2 * max(lengths)
    assert needed <= sum(seen) < needed + padding < 0.75 * 2 * sum(lengths)
    assert images == [2]


def test_below_the_first_steered_block_a_steered_prompt_is_not_computed_again(
    tiny: LoadedModel, asked: list[Request], branches: Callable[..., list[Branch]]
) -> None:
    deep = [branch for branch in branches(tiny) if branch.positions == "all" and 1 in branch.revision.layers]
    calls = [0] * len(tiny.decoder)

    def count(block: int) -> Callable[..., None]:
        def hook(module: Any, args: Any) -> None:
            calls[block] += 1

        return hook

    handles = [layer.register_forward_pre_hook(count(i)) for i, layer in enumerate(tiny.decoder.layers)]
    list(grow_trees(tiny, [Request(asked[0].inputs, deep)], Decoding(1)))
    for handle in handles:
        handle.remove()
    assert calls == [2, 3, 3, 3, 3, 3]  # the prompt, its steered part from block 1 on, the last token


def hooks(loaded: LoadedModel) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in loaded.model.modules())


def test_the_model_is_left_as_it_was(tiny: LoadedModel, asked: list[Request], plain: Callable[..., Any]) -> None:
    unsteered = asked[0].branches[0]
    _, before = plain(tiny, asked[0], unsteered, 3)
    weights, hooked = [parameter.clone() for parameter in tiny.model.parameters()], hooks(tiny)
    list(grow_trees(tiny, asked, Decoding(2)))
    assert torch.equal(plain(tiny, asked[0], unsteered, 3)[1], before)
    assert all(map(torch.equal, weights, tiny.model.parameters()))
    assert hooks(tiny) == hooked


def test_answers_stop_where_the_caller_says(
    tiny: LoadedModel, asked: list[Request], expected: dict[Place, tuple[list[int], Tensor]]
) -> None:
    def stop(ids: Tensor) -> Tensor:
        return (ids % 7 == 3).any(1)

    found = dict(grow_trees(tiny, asked, Decoding(NEW, frozenset(ENDS), stop=stop)))
    for place, (ids, _) in expected.items():
        end = next((i for i, token in enumerate(ids) if token % 7 == 3), NEW)
        assert found[place] == ids[: end + 1]
    assert found != {place: ids for place, (ids, _) in expected.items()}


@pytest.mark.parametrize("limits", [Limits(), SMALL])
def test_a_sample_does_not_depend_on_the_batch(
    tiny: LoadedModel, asked: list[Request], plain: Callable[..., Any], limits: Limits
) -> None:
    sampling = Sampling(temperature=1.5, seed=3)

    def perturb(places: Any, step: int, scores: Tensor) -> Tensor:
        noise = GumbelSampling(sampling, [f"{r}/{b}" for r, b in places])
        noise.prompt_length = 0
        return noise(torch.empty(len(scores), step), scores)

    found = dict(grow_trees(tiny, asked, Decoding(4, perturb=perturb), limits))
    for r, b in [(0, 0), (1, 3), (4, 8), (5, 2)]:
        alone = {
            (0, 0): dict(
                grow_trees(
                    tiny,
                    [Request(asked[r].inputs, [asked[r].branches[b]])],
                    Decoding(4, perturb=lambda _, step, scores, place=(r, b): perturb([place], step, scores)),
                )
            )[0, 0]
        }
        assert found[r, b] == alone[0, 0]
    greedy = dict(grow_trees(tiny, asked, Decoding(4)))
    assert sum(found[place] != greedy[place] for place in found) > 0.5 * len(found)


def test_the_cache_stays_within_its_limit(
    tiny: LoadedModel, asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    update = TreeCache.update

    def watch(self: TreeCache, keys: Tensor, values: Tensor, layer: int, *args: Any, **kwargs: Any) -> Any:
        found = update(self, keys, values, layer, *args, **kwargs)
        held.append(found[0].shape[0] * found[0].shape[2])
        return found

    monkeypatch.setattr(TreeCache, "update", watch)
    list(grow_trees(tiny, asked, Decoding(NEW), Limits(columns=200)))
    assert 100 < max(held) <= 200
    held.clear()
    list(grow_trees(tiny, asked, Decoding(NEW)))
    assert max(held) > 400


class Clock:
    """A clock that forward passes alone move on, each by so many seconds: the same on any machine."""

    def __init__(self, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
        self.now, self.step = 0.0, step
        self.ended: dict[Place, float] = {}
        for module in (decode, sweep):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        head: Any = loaded.model.get_output_embeddings()
        self.handle = head.register_forward_hook(self._move)

    def _move(self, *_: Any) -> None:
        self.now += self.step

    def read(self, place: Place, probabilities: Tensor) -> None:
        pass

    def grew(self, places: Sequence[Place], step: int, tokens: Sequence[int]) -> list[bool]:
        self.ended |= dict.fromkeys(places, self.now)
        return [False] * len(places)


@pytest.mark.parametrize("step", [0.0, 4.0, 25.0])
def test_a_slow_model_keeps_no_answer_to_itself(
    tiny: LoadedModel, asked: list[Request], monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """Each is there a few seconds after its last token, whatever the others of its batch still have to say."""
    decoding = Decoding(NEW, frozenset(ENDS))
    expected = dict(grow_trees(tiny, asked, decoding))
    hooks = [list(layer._forward_hooks) for layer in tiny.decoder.layers]  # transformers leaves its own there
    clock, found, waited = Clock(tiny, monkeypatch, step), {}, []
    try:
        for place, ids in grow_trees(tiny, asked, replace(decoding, follow=clock)):
            found[place] = ids
            waited.append(clock.now - clock.ended[place])
            # The caller may use the model.
            assert [list(layer._forward_hooks) for layer in tiny.decoder.layers] == hooks
    finally:
        clock.handle.remove()
    assert found == expected
    assert max(waited) <= 2 * decode.HAND_OVER + step
    together = max(clock.ended.values()) - min(clock.ended.values())
    assert step == 0 or together > 2 * decode.HAND_OVER + 2 * step  # without this they would wait for the last


def test_answers_grow_so_many_at_once(tiny: LoadedModel, asked: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[int] = []

    class Grew(Clock):
        def grew(self, places: Sequence[Place], step: int, tokens: Sequence[int]) -> list[bool]:
            grown.extend([len(places)] if step == 0 else [])
            return super().grew(places, step, tokens)

    decoding = Decoding(3)
    clock = Grew(tiny, monkeypatch, 0.0)
    try:
        whole = dict(grow_trees(tiny, asked, replace(decoding, follow=clock)))
        assert max(grown) > 12
        grown.clear()
        parts = dict(grow_trees(tiny, asked, replace(decoding, follow=clock), Limits(answers=7)))
    finally:
        clock.handle.remove()
    assert parts == whole and max(grown) <= 7 and sum(grown) == len(whole)
