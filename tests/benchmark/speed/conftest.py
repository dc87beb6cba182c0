"""A figure's model at a size whose every figure takes seconds: 4 blocks, hidden 64, 16 image tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.iar.conftest import pocket_data  # noqa: F401  (fixture)

if TYPE_CHECKING:
    from benchmark.speed.sizes import Size


@pytest.fixture(scope="session")
def tiny() -> Size:
    from benchmark.speed.sizes import FULL

    return replace(
        FULL, name="tiny", layers=4, hidden=64, heads=4, inner=176, vision=32, vision_layers=2, side=56, words=300,
        grid=(0, 1, 2, 3), questions=3, images=2, prompts=2, answer=6, batch=4, pairs=6, generated=5, memory=(4, 12),
        set_up=("benchmark.pocket", "--out", "data/pocket"),
        limits=("method=none", "benchmark=pope", "limit=2", "figures=false"),
    )  # fmt: skip
