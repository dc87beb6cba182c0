from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from iar.errors import UserError
from iar.export.constant import constant
from iar.models import LoadedModel
from iar.revision import Configuration
from iar.vectors import VectorSet


@pytest.fixture
def vectors(tiny: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet]) -> VectorSet:
    return vectors_of(tiny)


def test_strength_and_scale_are_in_it(vectors: VectorSet) -> None:
    added = constant(Configuration("iar", (2, 4), 1.5, positions="all", scale="sigma"), vectors, "it")
    assert list(added) == [2, 4]
    for layer in added:
        assert torch.allclose(
            added[layer], 1.5 * (layer + 0.5) * vectors.vectors[layer] / vectors.vectors[layer].norm()
        )
    drawn = constant(Configuration("random", (2,), 1.0, positions="all", seed=3), vectors, "it")[2]
    assert float(drawn.norm()) == pytest.approx(float(vectors.vectors[2].norm()), rel=1e-6)
    assert not torch.allclose(drawn, vectors.vectors[2])
    assert set(constant(Configuration("addition", (1,), 1.0), vectors, "it")) == {1}  # everywhere by itself


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        (Configuration(), "changes nothing"),
        (Configuration("iar", (2,), 0.0, positions="all"), "changes nothing"),
        (Configuration("iar", (2,), 1.0), "positions=last, but it is added at all"),
        (Configuration("iar", (2,), 1.0, positions="generated"), "positions=generated"),
        (Configuration("gated", (2,), 1.0), "asks a gate about each prompt"),
        (Configuration("categorical", (2,), 1.0), "asks a gate"),
        (Configuration("ablation", (2,), 1.0, positions="all"), "adds what depends on the activation"),
        (Configuration("iar", (), 1.0, positions="all", heads=4), "heads=4"),
        (Configuration("iar", (9,), 1.0, positions="all"), "layer 9 is outside the model"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(configuration: Configuration, said: str, vectors: VectorSet) -> None:
    with pytest.raises(UserError, match=said) as error:
        constant(configuration, vectors, "it")
    assert "\n" not in str(error.value)


def test_it_must_fit_into_the_dtype(vectors: VectorSet) -> None:
    with pytest.raises(UserError, match="float16 ends at 65504"):
        constant(Configuration("iar", (2,), 1e6, positions="all"), vectors, "it", dtype=torch.float16)
