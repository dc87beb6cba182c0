"""Which tokens each block computes, and that the answers are the plain path's nevertheless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from iar.generation.tree.check import self_check
from iar.generation.tree.request import Branch, Decoding, Place, Request
from iar.generation.tree.stages import stages
from iar.generation.tree.steer import Steering
from iar.generation.tree.sweep import grow_trees
from iar.generation.tree.wave import Limits
from iar.models import load
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision
from iar.revision.gate import Gate

BLOCKS = 6
NEW = 4
START: Any = vars(Steering)["start"]


def vector(seed: int, size: int = 32, length: float = 20.0) -> Tensor:
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm() * length


UNSTEERED = Branch(Revision())
LAYERS = [Branch(Revision({block: vector(block)})) for block in (0, 2, 4, 5)]  # start at 1, 3, 5 and behind all blocks
HEADS = Branch(Revision(heads={3: vector(7)}))  # starts at 3
FIRST = Branch(Revision(heads={0: vector(8)}))  # starts at 0
SOFT = Gate(0, vector(9, length=1.0)[None], torch.zeros(1), kind="soft")
GATED = [Branch(Revision({block: vector(10)}, gate=SOFT), positions) for block, positions in ((0, "last"), (3, "last"))]
GATED += [Branch(Revision({2: vector(11)}, gate=SOFT), "generated")]
SWEEPS = {
    "one start each": [UNSTEERED, *LAYERS, HEADS, FIRST],
    "no unsteered one": [*LAYERS[:3], HEADS],
    "all alike": [Branch(Revision({2: vector(seed)})) for seed in range(3)],
    "from the beginning": [UNSTEERED, FIRST, Branch(Revision(heads={0: vector(12)}))],
    "gates": GATED,
    "gates read at another leaf": [*GATED[:2], LAYERS[3]],
    "prompts too": [UNSTEERED, LAYERS[1], Branch(Revision({1: vector(13)}), "all"), HEADS, LAYERS[2]],
}


def test_stages_in_numbers() -> None:
    """Two bodies' tokens; a question with starts 3, 1 and 3 (the first stands in), one with 2; in the other row one."""
    start = torch.tensor([[3, 1, 3, 2], [1, 4, 0, 0]])
    question = torch.tensor([[0, 0, 0, 1], [0, 0, -1, -1]])
    found = stages(4, 2, start, question)
    assert found[1] is found[2] and len({id(stage) for stage in found}) == 4
    first, second, third, all_of_them = found[0], found[1], found[3], found[4]
    assert first.active.tolist() == [[0, 1, 2, 5], [0, 1, 3, 2]]
    assert first.source.tolist() == [[0, 1, 2, 2, 2, 3], [0, 1, 2, 2, 2, 2]]
    assert second.active.tolist()[0] == [0, 1, 2, 3, 5] and second.active.tolist()[1][:4] == [0, 1, 2, 3]
    assert second.source.tolist() == [[0, 1, 2, 3, 2, 4], [0, 1, 2, 3, 3, 3]]
    assert third.whole and all_of_them.whole and not second.whole
    assert all_of_them.active.tolist() == [[0, 1, 2, 3, 4, 5]] * 2 == all_of_them.source.tolist()


def test_where_one_row_computes_all_the_others_do_too() -> None:
    found = stages(4, 1, torch.tensor([[0, 0], [1, 3]]), torch.tensor([[0, 0], [0, 0]]))
    assert found[0].whole and found[0].active.tolist() == [[0, 1, 2]] * 2 == found[0].source.tolist()


@contextmanager
def computed(loaded: LoadedModel) -> Iterator[list[list[int]]]:
    """The tokens of each forward pass, block by block."""
    seen: list[list[int]] = [[] for _ in loaded.decoder.layers]
    handles = [
        layer.register_forward_pre_hook(lambda module, args, i=i: seen[i].append(args[0].shape[:2].numel()))
        for i, layer in enumerate(loaded.decoder.layers)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def test_a_block_computes_what_differs_there(tiny: LoadedModel, ask: Callable[..., list[Request]]) -> None:
    pair = ask(tiny, SWEEPS["one start each"])[:2]  # two questions on one image: one tree, one row
    with computed(tiny) as seen:
        list(grow_trees(tiny, pair, Decoding(1), Limits(common=0.1)))
    with computed(tiny) as unstaged:
        list(grow_trees(tiny, pair, Decoding(1), Limits(common=0.1), staged=False))
    assert [len(passes) for passes in seen] == [2] * BLOCKS  # the prefix; bodies and leaves
    bodies = unstaged[0][1] - 2 * 7
    assert bodies >= 2
    # The unsteered leaf and that of the first heads; and so on. The last revision joins behind all blocks.
    assert [passes[1] - bodies for passes in seen] == [2 * n for n in (2, 3, 3, 5, 5, 6)]
    assert [passes[1] - bodies for passes in unstaged] == [2 * 7] * BLOCKS
    assert [passes[0] for passes in seen] == [passes[0] for passes in unstaged]


def test_the_saving_holds_part_by_part(tiny: LoadedModel, ask: Callable[..., list[Request]]) -> None:
    pair = ask(tiny, [Branch(Revision({4: vector(seed)})) for seed in range(8)])[:2]
    with computed(tiny) as seen:
        list(grow_trees(tiny, pair, Decoding(1), Limits(common=0.1, leaves=4)))
    assert [passes[2:] for passes in seen] == [[1, 1, 1]] * 5 + [[4, 4, 4]]


@pytest.mark.parametrize("sweep", SWEEPS)
def test_answers_are_the_plain_paths(
    tiny: LoadedModel, ask: Callable[..., list[Request]], plain: Callable[..., Any], sweep: str
) -> None:
    asked = ask(tiny, SWEEPS[sweep])[1:4]  # a question alone on its image, and two on another
    places = [(r, b) for r in range(3) for b in range(len(SWEEPS[sweep]))]
    expected = {(r, b): plain(tiny, asked[r], asked[r].branches[b], NEW) for r, b in places}
    for leaves in (192, 3):
        logits: dict[Place, Tensor] = {}
        found = dict(grow_trees(tiny, asked, Decoding(NEW), Limits(common=0.1, leaves=leaves), logits))
        assert found == {place: ids for place, (ids, _) in expected.items()}
        for place, (_, theirs) in expected.items():
            assert (logits[place] - theirs).abs().max() < 1e-4 * theirs.abs().max()
        assert len({tuple(logits[place][0].tolist()) for place in found}) >= 2 * len(SWEEPS[sweep])


@pytest.mark.parametrize("kind", ["layers", "heads"])
def test_the_check_finds_a_leaf_that_joins_too_late(
    tiny_folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(steering: Steering) -> list[int]:
        first = [*(min(getattr(revision, kind), default=None) for revision in steering.revisions)]
        right = START.fget(steering)
        return [right[0], *(s if f is None else f + 2 for s, f in zip(right[1:], first, strict=True))]

    monkeypatch.setattr(Steering, "start", property(late))
    sharing = self_check(load(tiny_folder))
    assert sharing.mode == "tree" and sharing.difference < 1e-4
    assert "(staged: logits differ by" in sharing.reason


def test_a_model_whose_blocks_are_given_what_is_not_known_is_not_staged(tiny_folder: Path) -> None:
    loaded = load(tiny_folder)
    decoder: Any = loaded.model.get_decoder()
    decoder.register_forward_pre_hook(
        lambda module, args, named: (args, named | {"scales": torch.ones(3)}), with_kwargs=True
    )
    sharing = self_check(loaded)
    assert sharing.mode == "tree" and sharing.difference < 1e-4
    assert sharing.reason.endswith("(staged: ValueError)")
