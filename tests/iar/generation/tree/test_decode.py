"""How rows and slots are kept in order while branches end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from iar.generation.tree.cache import TreeCache
from iar.generation.tree.decode import Growth, Slots, processor
from iar.generation.tree.request import Decoding
from iar.models.checkpoint import LoadedModel

PROMPTS = 2


def growth(branches: list[list[int]], generated: int, room: int = 10_000) -> Growth:
    """Rows with a prompt of two columns, and slots that have each generated so many tokens."""
    branch = torch.tensor(branches)
    rows, slots = branch.shape
    own = torch.eye(slots, dtype=torch.bool).repeat(1, generated).expand(rows, -1, -1)
    sees = torch.cat([torch.ones(rows, slots, PROMPTS, dtype=torch.bool), own], 2)
    keys = torch.arange(rows * sees.shape[2], dtype=torch.float32).view(rows, 1, -1, 1)
    cache = TreeCache(1)
    cache.update(keys, keys, 0)
    depth = torch.full_like(branch, PROMPTS + generated)
    made = Slots(branch, depth, depth, branch.clamp(min=0), branch.clamp(min=0), sees)
    return Growth(made, cache, torch.zeros(rows, sees.shape[2], dtype=torch.long), PROMPTS, room)


def seen(state: Growth) -> dict[int, list[float]]:
    """Branch -> the keys it sees."""
    keys = state.cache.blocks[0].held[0][:, 0, :, 0]
    live = (state.slots.branch >= 0).nonzero().tolist()
    return {int(state.slots.branch[r, s]): sorted(keys[r][state.slots.sees[r, s]].tolist()) for r, s in live}


def test_dead_rows_and_slots_are_dropped_with_their_keys() -> None:
    state = growth([[-1, -1, -1], [3, -1, 5], [-1, -1, -1], [-1, 10, -1]], 2)
    before = seen(state)
    ids = state.tidy(state.slots.branch.clamp(min=0) * 10, left=5)
    assert state.slots.branch.tolist() == [[3, 5], [10, -1]]
    assert ids.tolist()[0] == [30, 50] and ids[1, 0] == 100
    assert seen(state) == before and {len(keys) for keys in before.values()} == {4}
    assert state.cache.columns == 6 and state.prompts == PROMPTS  # of 8 columns: prompt, two branches of two
    assert state.column_depth.shape == (2, 6)


def test_little_is_left_as_it_is() -> None:
    state = growth([[0, 1, 2, 3, 4, -1]], 1)
    slots, cache = state.slots, state.cache
    state.tidy(state.slots.branch, left=5)
    assert state.slots is slots and state.cache is cache


@pytest.mark.parametrize(("room", "rows"), [(10_000, [[0, 1], [2, -1]]), (40, [[0, 1, 2]])])
def test_a_long_row_is_split_if_there_is_room(room: int, rows: list[list[int]]) -> None:
    state = growth([[0, 1, 2]], 4, room)
    before = seen(state)
    state.tidy(state.slots.branch, left=5)
    assert state.slots.branch.tolist() == rows and seen(state) == before
    assert state.cache.columns == (10 if len(rows) == 2 else 14)


def test_the_models_own_settings_are_applied(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts of different length in one batch: what counts tokens, or looks at the prompt, sees each row's own."""
    model: Any = tiny.model
    for name, value in {"repetition_penalty": 2.0, "suppress_tokens": [3], "min_new_tokens": 2}.items():
        monkeypatch.setattr(model.generation_config, name, value)
    prompts, places = [[5, 6], [7, 8, 9]], [(0, 0), (1, 0)]
    process = processor(model, Decoding(4, frozenset({2})), prompts, places)
    scores = process(torch.tensor([0, 1]), torch.tensor([[10], [5]]), torch.ones(2, 12))
    assert scores[0].tolist() == [1, 1, -torch.inf, -torch.inf, 1, 0.5, 0.5, 1, 1, 1, 0.5, 1]
    assert scores[1].tolist() == [1, 1, -torch.inf, -torch.inf, 1, 0.5, 1, 0.5, 0.5, 0.5, 1, 1]


def test_noise_is_given_the_places(tiny: LoadedModel) -> None:
    def perturb(places: Any, step: int, scores: torch.Tensor) -> torch.Tensor:
        return scores + torch.tensor([[100.0 * r + 10 * b + step] for r, b in places])

    process: Callable[..., Any] = processor(tiny.model, Decoding(4, perturb=perturb), [[1], [2]], [(0, 3), (2, 1)])
    assert process(torch.tensor([1, 0]), torch.zeros(2, 2, dtype=torch.long), torch.zeros(2, 1)).tolist() == [
        [212],
        [32],
    ]
