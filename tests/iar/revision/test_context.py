"""``revise`` as a researcher calls it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from iar.errors import UserError
from iar.models import LoadedModel
from iar.revision import Configuration, directions, revise, steering
from iar.vectors import VectorSet, file
from iar.vectors.header import header


@pytest.fixture(scope="module")
def logits(tiny: LoadedModel, features: Any) -> Callable[..., torch.Tensor]:
    """Of the two prompts, or of more copies of them: logits(rows=2)."""

    def run(rows: int = 2) -> torch.Tensor:
        inputs = {k: v if k == "pixel_values" else v.repeat(rows // 2, 1) for k, v in features.items()}
        if rows > 2:
            inputs["pixel_values"] = inputs["pixel_values"].repeat(rows // 2, 1, 1, 1)
        with torch.no_grad():
            return tiny.model(**inputs).logits

    return run


def by_steering(tiny: LoadedModel, vectors: VectorSet, logits: Any, *configurations: Configuration) -> torch.Tensor:
    rows = [directions(c, vectors) for c in configurations]
    with steering(tiny.decoder, rows, [c.positions for c in configurations]):
        return logits()


def test_printed_formula(tiny: LoadedModel, vectors: VectorSet, features: Any) -> None:
    """h_l + 1.5 v_l at the last prompt token, and hidden_states shows it, whoever registered hooks first."""

    def hidden() -> torch.Tensor:
        with torch.no_grad():
            return tiny.model(**features, output_hidden_states=True).hidden_states[3]

    expected = hidden().clone()
    expected[:, -1] += 1.5 * vectors.vectors[2]
    with revise(tiny, vectors, layers=[2], strength=1.5):
        assert (hidden() - expected).abs().max() < 1e-6
    with revise(tiny, vectors, layers=[2]):
        assert (hidden() - expected).abs().max() > 1


@pytest.mark.parametrize(
    ("arguments", "configuration"),
    [
        ({"layers": [2]}, Configuration("iar", (2,), 1.0)),
        ({"layers": 2, "strength": 1.5}, Configuration("iar", (2,), 1.5)),
        ({"layers": range(1, 4), "strength": -2, "scale": "unit"}, Configuration("iar", (1, 2, 3), -2, "unit")),
        ({"layers": (4,), "positions": "all", "scale": "sigma"}, Configuration("iar", (4,), 1.0, "sigma", "all")),
        ({"heads": 5, "strength": 15, "scale": "sigma"}, Configuration("iar", (), 15, "sigma", heads=5)),
        ({"heads": 5, "layers": [1, 3]}, Configuration("iar", (1, 3), 1.0, heads=5)),
        ({"layers": [3], "method": "random", "seed": 4}, Configuration("random", (3,), 1.0, seed=4)),
        ({"layers": [3], "method": "addition"}, Configuration("iar", (3,), 1.0, positions="all")),
    ],
)
def test_one_value_holds_for_every_row(
    tiny: LoadedModel, vectors: VectorSet, logits: Any, arguments: dict[str, Any], configuration: Configuration
) -> None:
    expected = by_steering(tiny, vectors, logits, configuration, configuration)
    for model in (tiny, tiny.model):
        with revise(model, vectors, **arguments):
            assert torch.equal(logits(), expected)
            assert (logits(rows=6) - expected.repeat(3, 1, 1)).abs().max() < 1e-4
    assert not torch.equal(logits(), expected)


@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [
        ({"layers": [2], "strength": [1, 2]}, Configuration("iar", (2,), 1), Configuration("iar", (2,), 2)),
        ({"layers": [[2], [3, 5]]}, Configuration("iar", (2,), 1.0), Configuration("iar", (3, 5), 1.0)),
        ({"layers": [2, []]}, Configuration("iar", (2,), 1.0), Configuration()),
        ({"layers": [2], "method": ["none", "random"]}, Configuration(), Configuration("random", (2,), 1.0)),
        (
            {"layers": [2], "scale": ("raw", "unit"), "positions": ["all", "last"]},
            Configuration("iar", (2,), 1.0, "raw", "all"),
            Configuration("iar", (2,), 1.0, "unit"),
        ),
        ({"layers": [[], 4], "heads": [3, 0]}, Configuration("iar", (), 1, heads=3), Configuration("iar", (4,), 1)),
        (
            {"layers": [3], "strength": torch.linspace(1, 2, 2)},
            Configuration("iar", (3,), 1.0),
            Configuration("iar", (3,), 2.0),
        ),
        (
            {"layers": np.array([[1], [2]]), "strength": np.float32(2)},
            Configuration("iar", (1,), 2.0),
            Configuration("iar", (2,), 2.0),
        ),
    ],
)
def test_one_entry_a_row(
    tiny: LoadedModel,
    vectors: VectorSet,
    logits: Any,
    arguments: dict[str, Any],
    first: Configuration,
    second: Configuration,
) -> None:
    expected = by_steering(tiny, vectors, logits, first, second)
    with revise(tiny, vectors, **arguments):
        assert torch.equal(logits(), expected)


def test_rows_with_their_own_direction(
    tiny: LoadedModel, vectors: VectorSet, random_vectors: Any, logits: Any, tmp_path: Path
) -> None:
    other = random_vectors(seed=1)
    with revise(tiny, [vectors, other], layers=[2]):
        both = logits()
    with revise(tiny, vectors, layers=[2]):
        assert torch.equal(both[0], logits()[0])
    with revise(tiny, other, layers=[2]):
        assert torch.equal(both[1], logits()[1])


def test_a_file_is_read_and_must_be_of_the_loaded_model(
    tiny: LoadedModel, vectors: VectorSet, logits: Any, tmp_path: Path
) -> None:
    path = tmp_path / "vectors.safetensors"
    file.write(path, dataclasses.replace(vectors, header=header(tiny, [])))
    with revise(tiny, file.read(path), layers=[2], strength=5):
        expected = logits()
    for source in (path, str(path), [path, path]):
        with revise(tiny, source, layers=[2], strength=5):
            assert torch.equal(logits(), expected)
    with revise(tiny.model, path, layers=[2], strength=5):
        assert torch.equal(logits(), expected)
    assert not torch.equal(logits(), expected)
    other = dataclasses.replace(tiny, id="another")
    with pytest.raises(UserError, match="was made with model"), revise(other, path, layers=[2]):
        pass


@pytest.mark.parametrize("arguments", [{"layers": [0, 2, 4]}, {"heads": 12}])
def test_the_model_is_bit_identical_afterwards(
    kit: Any, tiny: LoadedModel, vectors: VectorSet, logits: Any, arguments: dict[str, Any]
) -> None:
    registered, before = kit.hooks(tiny.model), logits()
    modules = {name: id(module) for name, module in tiny.model.named_modules()}
    with revise(tiny, vectors, **arguments):
        assert not torch.equal(logits(), before)
    assert torch.equal(logits(), before)
    with pytest.raises(ZeroDivisionError), revise(tiny, vectors, **arguments):
        logits()
        1 / 0  # noqa: B018
    with (
        pytest.raises(UserError, match="for 3 rows, the batch has 2"),
        revise(tiny, vectors, strength=[1, 2, 3], **arguments),
    ):
        logits()
    assert torch.equal(logits(), before)
    assert kit.hooks(tiny.model) == registered
    assert {name: id(module) for name, module in tiny.model.named_modules()} == modules


def test_no_hook_is_left(kit: Any, tiny: LoadedModel, vectors: VectorSet) -> None:
    model = type(tiny.model)(tiny.model.config)
    for arguments in ({"layers": [0, 2, 4]}, {"heads": 12}):
        with revise(model, vectors, **arguments):  # type: ignore[arg-type]
            assert any(kit.hooks(model))
        assert not any(kit.hooks(model))


def test_the_callers_vectors_are_not_touched(tiny: LoadedModel, random_vectors: Any, logits: Any) -> None:
    vectors, same = random_vectors(), random_vectors()
    with revise(tiny, vectors, layers=[2], scale="sigma", strength=2):
        expected = logits()
        vectors.vectors.zero_()  # nor are they followed
        assert torch.equal(logits(), expected)
    with revise(tiny, same, heads=3, scale="unit"):
        logits()
    fresh = random_vectors()
    assert torch.equal(same.vectors, fresh.vectors)
    assert torch.equal(same.heads.vectors, fresh.heads.vectors)


def test_nested_blocks_add_up(tiny: LoadedModel, vectors: VectorSet, logits: Any) -> None:
    with revise(tiny, vectors, layers=[2]), revise(tiny, vectors, layers=[4], strength=2):
        nested = logits()
    with steering(
        tiny.decoder,
        [type(directions(Configuration(), None))({2: vectors.vectors[2], 4: 2 * vectors.vectors[4]})],
        ["last"],
    ):
        assert torch.equal(logits(), nested)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"nothing to revise: say layers=\[14\], or heads=48"),
        ({"layers": []}, "nothing to revise"),
        ({"layers": [6]}, "layer 6 is outside the model: its layers are 0 to 5"),
        ({"layers": "2"}, "layers='2' must be block numbers"),
        ({"layers": [1.5]}, r"layers=\[1.5\] must be block numbers"),
        ({"layers": [2], "positions": "lats"}, "unknown positions 'lats': did you mean 'last'"),
        ({"layers": [2], "positions": ["last", "al"]}, "unknown positions 'al': did you mean 'all'"),
        ({"layers": [2], "scale": "sgima"}, "unknown scale 'sgima': did you mean 'sigma'"),
        ({"layers": [2], "method": "rnadom"}, "unknown method 'rnadom': did you mean 'random'"),
        ({"layers": [2], "strength": "much"}, "strength must be a number"),
        ({"layers": [2], "strength": [1.0, float("nan")]}, "strength=nan is not finite"),
        (
            {"layers": [2], "strength": [1, 2], "scale": ["raw"] * 3},
            r"different numbers of rows \(strength 2, scale 3\)",
        ),
        ({"layers": [[2], [3]], "strength": [1, 2, 3]}, r"\(layers 2, strength 3\)"),
        ({"layers": [2], "strength": []}, r"\(strength 0\)"),
        ({"heads": 25}, "heads=25, but all layers hold 24 heads"),
        ({"heads": -1}, "heads=-1 is negative"),
        ({"layers": [2], "prompt_length": 0}, "prompt_length=0 must be at least 1"),
    ],
)
def test_bad_input(kit: Any, tiny: LoadedModel, vectors: VectorSet, arguments: dict[str, Any], message: str) -> None:
    registered = kit.hooks(tiny.model)
    with pytest.raises(UserError, match=message), revise(tiny, vectors, **arguments):
        pass
    assert kit.hooks(tiny.model) == registered


def test_vectors_of_another_model_and_no_file(
    tiny: LoadedModel, vectors: VectorSet, random_vectors: Any, tmp_path: Path
) -> None:
    for other, found in ((random_vectors(layers=8), "8 layers of size 32"), (random_vectors(hidden=64), "6 .* 64")):
        for sources in (other, [vectors, other]):
            message = f"{found}, the model has 6 of size 32"
            with pytest.raises(UserError, match=message), revise(tiny.model, sources, layers=[2]):
                pass
    with pytest.raises(UserError, match="no vector file"), revise(tiny, tmp_path / "none.safetensors", layers=[2]):
        pass
