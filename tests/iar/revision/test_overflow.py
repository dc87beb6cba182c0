"""What is no number in a dtype: refused where it is known before, and kept to its own row where it is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from iar.errors import UserError
from iar.models import LoadedModel, chat, load
from iar.revision import Configuration, Revision, revise, steering
from iar.revision.overflow import check
from iar.vectors import VectorSet

TEXTS = ("Is there a spoon?", "hello", "How do I use this knife in the image?", "I")


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Callable[[str], LoadedModel]:
    return cache(lambda dtype: load(tiny_folder, dtype=dtype))


@pytest.mark.parametrize(
    ("dtype", "limit"),
    [(torch.float16, "65504"), (torch.bfloat16, "3.38953e+38"), (torch.float32, "3.40282e+38")],
)
def test_the_dtypes_range(vectors: VectorSet, dtype: torch.dtype, limit: str) -> None:
    most = torch.finfo(dtype).max / float(vectors.vectors[2].abs().max())
    check(Configuration("iar", (2,), 0.99 * most), vectors, dtype)
    check(Configuration("iar", (2,), -0.99 * most), vectors, dtype)
    for strength in (1.01 * most, -1.01 * most, 1e300):
        with pytest.raises(
            UserError, match=f"at layer 2 is .*ends at {limit}: use a strength up to".replace("+", r"\+")
        ):
            check(Configuration("iar", (2,), strength), vectors, dtype)


def test_scales_heads_and_categories_count(vectors: VectorSet, random_gates: Any) -> None:
    known = dataclasses.replace(vectors, gates=random_gates())
    asked = [
        Configuration("iar", (2,), 1e6, "unit"),
        Configuration("iar", (2,), 1e6, "norm"),
        Configuration("iar", (), 1e5, heads=3),
        Configuration("categorical", (2,), 1e5),
        Configuration("random", (2,), 1e5, seed=1),
    ]
    for configuration in asked:
        with pytest.raises(UserError, match=r"model\.dtype=bfloat16 or float32"):
            check(configuration, known, torch.float16)
        check(dataclasses.replace(configuration, strength=1e3), known, torch.float16)
    both = Configuration("calibrated", (2,), 1.0, release=1e5)
    with pytest.raises(UserError, match=r"model\.dtype=bfloat16 or float32"):
        check(both, known, torch.float16)
    check(dataclasses.replace(both, release=1e3), known, torch.float16)
    check(Configuration(), None, torch.float16)


def test_revise_refuses_it(model: Callable[[str], LoadedModel], vectors: VectorSet) -> None:
    loaded = model("float16")
    for asked in (loaded, loaded.model):
        with pytest.raises(UserError, match=r"'iar-L2-x100000': its largest element at layer 2 is .*float16 ends"):
            revise(asked, vectors, layers=[[1], [2]], strength=[1.0, 1e5]).__enter__()


@pytest.mark.parametrize("positions", ["last", "all"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_rows_beside_one_that_overflows_are_bit_by_bit_the_same(
    model: Callable[[str], LoadedModel], vectors: VectorSet, images: list[Path], dtype: str, positions: Any
) -> None:
    loaded = model(dtype)
    opened = [[chat.open_image(images[i])] if i < 2 else [] for i in range(4)]
    batch, _ = chat.encode(loaded, list(TEXTS), opened)
    assert (batch["attention_mask"] == 0).any(1).tolist() == [False, True, True, True]
    high = dataclasses.replace(vectors, vectors=vectors.vectors.clone())
    high.vectors[3:5, 7] = 0.6 * torch.finfo(loaded.model.dtype).max

    def run(layers: list[int]) -> tuple[Tensor, Tensor]:
        """Row 1 is revised at these layers."""
        model: Any = loaded.model
        with revise(loaded, high, layers=[[1], layers, [2], []], positions=positions):
            out = model.generate(
                **batch, max_new_tokens=4, do_sample=False, return_dict_in_generate=True, output_logits=True
            )
        return torch.stack(out.logits), out.sequences

    (sound, tokens), (broken, others) = run([2]), run([3, 4])
    assert sound.isfinite().all() and broken[:, 1].isnan().all()
    for row in (0, 2, 3):
        assert torch.equal(sound[:, row], broken[:, row]) and torch.equal(tokens[row], others[row])


class Ends:
    """A rule that says a number of the last position alone."""

    def added(self, hidden: Tensor) -> Tensor:
        found = torch.full_like(hidden, torch.nan)
        found[-1] = 1
        return found


def test_what_a_rule_says_of_other_positions_does_not_matter(tiny: LoadedModel, features: Any) -> None:
    def run(revision: Revision) -> Tensor:
        with torch.no_grad(), steering(tiny.decoder, [revision, Revision()], ["last", "all"]):
            found: Tensor = tiny.model(**features).logits
            return found

    assert torch.equal(run(Revision(rules={2: Ends()})), run(Revision({2: torch.ones(32)})))
