"""Trees, rows and masks, in numbers small enough to write down."""

from __future__ import annotations

import pytest
import torch

from iar.generation.tree.layout import Row, Tree, additive, pack, plant, rows_of, sees_bodies, sees_of_leaves
from iar.generation.tree.request import Branch, Request
from iar.revision.direction import Revision

IMAGE = 9
ONE, TWO = Revision({0: torch.ones(2)}), Revision({1: torch.ones(2)})


def request(ids: list[int], pixels: float | None = None, branches: tuple[Branch, ...] = ()) -> Request:
    inputs = {"input_ids": torch.tensor([ids])}
    if pixels is not None:
        inputs["pixel_values"] = torch.full((1, 3), pixels)
    return Request(inputs, branches)


def test_questions_on_one_image_make_a_tree() -> None:
    asked = [
        request([1, IMAGE, IMAGE, 4, 5, 6], 0.5),
        request([1, IMAGE, IMAGE, 4, 7], 0.5),
        request([1, IMAGE, IMAGE, 4, 7], 0.25),  # another image
        request([1, IMAGE, IMAGE, 8], 0.5),
        request([1, 4, 5]),
    ]
    trees = plant(asked, {IMAGE})
    assert sorted((tree.prefix, sorted(tree.members)) for tree in trees) == [(2, [4]), (3, [0, 1, 3]), (4, [2])]


def test_the_prefix_holds_all_image_tokens() -> None:
    asked = [request([1, 2, 3, IMAGE, 5, 6], 0.5), request([1, 2, 3, IMAGE, 5, 7], 0.5)]
    assert [(tree.prefix, tree.members) for tree in plant(asked, {IMAGE})] == [(5, [0, 1])]
    assert [tree.prefix for tree in plant(asked, {77})] == [5, 5]  # images, but where is not known
    behind = [request([1, 2, 5, IMAGE], 0.5), request([1, 2, 6, IMAGE], 0.5)]
    assert [tree.prefix for tree in plant(behind, {IMAGE}, least=0.1)] == [3, 3]


@pytest.mark.parametrize(("least", "prefixes"), [(0.5, [5, 5]), (0.25, [2])])
def test_little_in_common_is_not_shared(least: float, prefixes: list[int]) -> None:
    asked = [request([1, 2, 3, 4, 5, 6]), request([1, 2, 7, 8, 9, 10])]
    assert [tree.prefix for tree in plant(asked, least=least)] == prefixes


def test_inputs_along_the_tokens_must_agree() -> None:
    ids = torch.tensor([[1, 2, 3, 4]])
    kinds = [torch.tensor([[0, 0, 0, 0]]), torch.tensor([[0, 1, 0, 0]])]
    asked = [Request({"input_ids": ids, "token_type_ids": kind}, ()) for kind in kinds]
    assert [(tree.prefix, tree.members) for tree in plant(asked, least=0.25)] == [(1, [0, 1])]


BRANCHES = (
    Branch(Revision()),
    Branch(ONE, "last"),
    Branch(TWO, "generated"),
    Branch(ONE, "prompt"),
    Branch(ONE, "all"),
    Branch(TWO, "all"),
)
NUMBER = {id(ONE): 1, id(TWO): 2}


def test_rows_by_what_steers_the_prompt() -> None:
    asked = [request([1, 2, 3, 4], branches=BRANCHES), request([1, 2, 5], branches=BRANCHES[:2])]
    unsteered, one, two = rows_of(Tree(2, [0, 1]), 7, asked, NUMBER)
    first = [((0, 0), 0, 0, 0), ((0, 1), 0, 1, 1), ((0, 2), 0, 0, 2)]
    assert unsteered == Row(7, 0, [[3], []], [4, 5], [*first, ((1, 0), 1, 0, 0), ((1, 1), 1, 1, 1)])
    assert one == Row(7, 1, [[3]], [4], [((0, 3), 0, 1, 0), ((0, 4), 0, 1, 1)])
    assert two == Row(7, 2, [[3]], [4], [((0, 5), 0, 2, 2)])


def test_branches_share_a_leaf_where_the_last_token_is_steered_alike() -> None:
    asked = [request([1, 2, 3, 4], branches=BRANCHES[:3]), request([1, 2, 5], branches=BRANCHES[:1])]
    first = rows_of(Tree(2, [0, 1]), 0, asked, NUMBER)[0]
    packed = pack([first, first.part(3, 4)])
    assert packed.ids.tolist() == [[3], [3]] and packed.question.tolist() == [[0], [0]]
    assert packed.leaf_ids.tolist() == [[4, 4, 5], [5, 0, 0]]
    assert packed.leaf_question.tolist() == [[0, 0, 1], [1, -1, -1]]
    assert packed.leaf_steered.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert packed.leaf_depth.tolist() == [[1, 1, 0], [0, 0, 0]]
    assert packed.leaf.tolist() == [[0, 1, 0, 2], [0, 0, 0, 0]]
    assert packed.steered.tolist() == [[0, 1, 2, 0], [0, 0, 0, 0]]
    assert packed.branch.tolist() == [[0, 1, 2, 3], [4, -1, -1, -1]]


def test_a_token_sees_its_own_question_up_to_itself() -> None:
    question, depth = torch.tensor([[0, 0, 1, -1]]), torch.tensor([[0, 1, 0, 0]])
    assert sees_bodies(question, depth).int().tolist() == [[[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]]
    leaves = torch.tensor([[1, 0, -1]])
    assert sees_of_leaves(leaves, question).int().tolist() == [[[0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_masked_has_no_weight_however_large_its_score(dtype: torch.dtype) -> None:
    mask = additive(torch.tensor([[[True, False], [True, True]]]), dtype)
    assert mask.shape == (1, 1, 2, 2) and mask.dtype == dtype
    scores = torch.tensor([0.0, torch.finfo(dtype).max], dtype=dtype)
    assert (scores + mask).float().softmax(-1).tolist() == [[[[1.0, 0.0], [0.0, 1.0]]]]
