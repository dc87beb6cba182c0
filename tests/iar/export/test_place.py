from __future__ import annotations

from collections.abc import Callable

import pytest

from iar.errors import UserError
from iar.export.place import places
from iar.models import LoadedModel


@pytest.mark.parametrize(
    ("kind", "name", "factor"),
    [
        ("llama", "model.layers.1.mlp.down_proj", 1),
        ("mistral", "model.layers.1.mlp.down_proj", 1),
        ("opt", "model.decoder.layers.1.fc2", 1),
        ("gpt2", "transformer.h.1.mlp.c_proj", 1),
        ("granite", "model.layers.1.mlp.down_proj", 0.22),
    ],
)
def test_the_block_is_asked(kind: str, name: str, factor: float, text_model: Callable[[str], LoadedModel]) -> None:
    found = places(text_model(kind), [1])[1]
    assert found.name == name and found.factor == pytest.approx(factor, rel=1e-6)


def test_in_a_vision_language_model(tiny: LoadedModel) -> None:
    assert [place.name for place in places(tiny, [0, 5]).values()] == [
        f"model.language_model.layers.{block}.mlp.down_proj" for block in (0, 5)
    ]


@pytest.mark.parametrize("kind", ["gemma2", "gemma3_text"])
def test_a_norm_behind_the_projections_is_seen(kind: str, text_model: Callable[[str], LoadedModel]) -> None:
    loaded = text_model(kind)
    with pytest.raises(UserError, match=r"no bias can steer block 1 of model .*a norm follows in Gemma"):
        places(loaded, [1])
    assert not any(module._forward_hooks for module in loaded.decoder.layers[1].modules())
