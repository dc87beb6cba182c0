"""Which token is steered by what."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from iar.generation.tree.steer import Steering
from iar.models.checkpoint import LoadedModel
from iar.revision.direction import Revision
from iar.revision.hooks import steering

ONES = torch.ones(32)
REVISIONS = [Revision({1: 2 * ONES, 3: ONES}), Revision({3: -ONES}), Revision(heads={2: 5 * ONES})]


def outputs(loaded: LoadedModel, block: int) -> Tensor:
    seen: list[Tensor] = []
    handle = loaded.decoder.layers[block].register_forward_hook(lambda m, args, out: seen.append(out))
    with torch.no_grad():
        loaded.model(input_ids=torch.tensor([[5, 6, 7], [8, 9, 10]]))
    handle.remove()
    return seen[0]


def test_each_token_has_its_own_revision(tiny: LoadedModel) -> None:
    unsteered = outputs(tiny, 1)
    hooks = Steering(tiny.decoder, REVISIONS)
    with hooks.hooked():
        assert torch.equal(outputs(tiny, 1), unsteered)  # nothing is said to be steered
        hooks.at = torch.tensor([[0, 1, 2], [1, 0, 3]])
        added = outputs(tiny, 1) - unsteered
    assert torch.allclose(
        added, torch.tensor([[0.0, 2.0, 0.0], [2.0, 0.0, 0.0]])[:, :, None].expand(-1, -1, 32), atol=1e-5
    )
    assert torch.equal(outputs(tiny, 1), unsteered)
    assert hooks.first == [6, 1, 3, 2]
    assert hooks.start == [6, 2, 4, 2]  # heads differ within their block, outputs behind it


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_row_steered_throughout_is_the_plain_hooks(tiny: LoadedModel, number: int) -> None:
    hooks = Steering(tiny.decoder, REVISIONS)
    with hooks.hooked():
        hooks.at = torch.full((2, 1), number)
        found = outputs(tiny, 5)
    with steering(tiny.decoder, [REVISIONS[number - 1]] * 2, ["all"] * 2):
        expected = outputs(tiny, 5)
    assert torch.allclose(found, expected, atol=1e-4)
    assert (expected - outputs(tiny, 5)).abs().max() > 0.1
