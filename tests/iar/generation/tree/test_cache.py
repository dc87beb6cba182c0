"""The cache: written in place, cut back, shared and regrouped."""

from __future__ import annotations

import torch
from torch import Tensor

from iar.generation.tree.cache import TreeCache, join


def states(rows: int, tokens: int, seed: int, size: int = 3) -> Tensor:
    return torch.randn(rows, 2, tokens, size, generator=torch.Generator().manual_seed(seed))


def filled(tokens: int = 4, rows: int = 2) -> TreeCache:
    cache = TreeCache(2)
    for block in range(2):
        cache.update(states(rows, tokens, block), states(rows, tokens, 10 + block, size=5), block)
    return cache


def test_it_grows_as_transformers_own_does() -> None:
    cache = filled()
    expected = [states(2, 4, 0)]
    pointers = set()
    for step in range(150):
        new = states(2, 1, 100 + step)
        keys, values = cache.update(new, states(2, 1, 300 + step, size=5), 0)
        expected.append(new)
        assert torch.equal(keys, torch.cat(expected, 2)) and values.shape == (2, 2, 5 + step, 5)
        pointers.add(keys.data_ptr())
    assert len(pointers) == 3  # copied twice in 150 steps
    assert (cache.columns, cache.get_seq_length(0), cache.get_seq_length(1)) == (154, 154, 4)
    assert cache.get_mask_sizes(3, 1) == (7, 0)


def test_a_pass_may_compute_fewer_tokens_than_join() -> None:
    cache, new, values = filled(), states(2, 2, 5), states(2, 2, 6, size=5)
    source = torch.tensor([[0, 1, 0], [0, 0, 1]])
    cache.blocks[0].source = source
    old = [held.clone() for held in cache.blocks[0].held]
    seen = cache.update(new, values, 0)
    for found, before, computed in zip(seen, old, (new, values), strict=True):
        assert torch.equal(found, torch.cat([before, computed], 2))  # the block looks at what it computed
    for held, before, computed in zip(cache.blocks[0].held, old, (new, values), strict=True):
        joined = torch.stack([computed[row][:, source[row]] for row in range(2)])
        assert torch.equal(held, torch.cat([before, joined], 2))
    cache.blocks[0].source = None
    assert cache.update(new, values, 0)[0].shape[2] == 4 + 3 + 2


def test_cut_forgets_and_what_comes_next_takes_its_place() -> None:
    cache = filled()
    cache.update(states(2, 2, 5), states(2, 2, 6, size=5), 0)
    cache.cut(4)
    new = states(2, 1, 7)
    keys, _ = cache.update(new, states(2, 1, 8, size=5), 0)
    assert torch.equal(keys, torch.cat([states(2, 4, 0), new], 2))


def test_a_shared_block_is_never_written() -> None:
    cache = filled()
    other = cache.share(1)
    other.update(states(2, 1, 7), states(2, 1, 8, size=5), 0)
    cache.update(states(2, 1, 9), states(2, 1, 9, size=5), 0)
    assert torch.equal(other.blocks[0].held[0], torch.cat([states(2, 4, 0), states(2, 1, 7)], 2))
    assert torch.equal(cache.blocks[0].held[0], torch.cat([states(2, 4, 0), states(2, 1, 9)], 2))
    assert other.blocks[1].held == []


def test_rows_and_columns_are_regrouped() -> None:
    cache = filled()
    rows, columns = torch.tensor([1, 0, 1]), torch.tensor([[3, 0], [1, 2], [0, 0]])
    picked = cache.select(rows, columns)
    for block, held in enumerate(picked.blocks):
        for found, whole in zip(held.held, (states(2, 4, block), states(2, 4, 10 + block, size=5)), strict=True):
            assert torch.equal(found, torch.stack([whole[r][:, c] for r, c in zip(rows, columns, strict=True)]))
    assert cache.columns == 4 and picked.columns == 2


def test_caches_are_joined_by_rows() -> None:
    both = join([filled(), filled().share(2)])
    assert torch.equal(both.blocks[1].held[0], states(2, 4, 1).repeat(2, 1, 1, 1))
    assert both.blocks[0].held[1].shape == (4, 2, 4, 5)
