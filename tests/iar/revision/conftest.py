"""What the tests of revision share: vectors of the tiny model, and greedy answers by a loop without a cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from iar.models import Decoder, LoadedModel, chat
from iar.revision import Revision
from iar.vectors.gates import Gates
from iar.vectors.vector_set import HeadVectors, VectorSet


@pytest.fixture(scope="session")
def random_vectors() -> Callable[..., VectorSet]:
    """Random vectors of any model: random_vectors(layers, hidden, heads)."""

    def make(layers: int = 6, hidden: int = 32, heads: int = 4, seed: int = 0) -> VectorSet:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator)

        of_heads = HeadVectors(
            draw(layers, heads, hidden // heads) * 3,
            torch.arange(layers * heads).view(layers, heads) + 1.0,
            draw(layers, heads).abs() + 0.5,
            torch.rand(layers, heads, generator=generator),
        )
        ones = torch.ones(layers)
        return VectorSet(
            draw(layers, hidden) * 3,
            mean_norm=torch.arange(layers) + 4.0,
            sigma=torch.arange(layers) + 0.5,
            separation=ones,
            accuracy=ones,
            heads=of_heads,
        )

    return make


@pytest.fixture(scope="session")
def random_gates() -> Callable[..., Gates]:
    """Random gates of any model, with two categories: random_gates(layers, hidden)."""

    def make(layers: int = 6, hidden: int = 32, seed: int = 0) -> Gates:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator)

        return Gates(
            weight=draw(layers, hidden),
            bias=draw(layers),
            auroc=torch.ones(layers),
            rate=torch.full((layers,), 0.5),
            benign_mean=draw(layers, hidden),
            response_mean=draw(layers, hidden),
            risk=draw(layers, hidden),
            categories=("drugs", "violence"),
            category_weight=draw(2, layers, hidden),
            category_bias=draw(2, layers),
            category_vectors=draw(2, layers, hidden) * 3,
            header={"gate_seed": str(seed)},
        )

    return make


@pytest.fixture(scope="session")
def vectors(random_vectors: Callable[..., VectorSet]) -> VectorSet:
    """Vectors of the tiny model."""
    return random_vectors()


@pytest.fixture(scope="session")
def vector() -> torch.Tensor:
    return torch.randn(32, generator=torch.Generator().manual_seed(1)) * 4


@pytest.fixture(scope="session")
def features(tiny: LoadedModel, images: list[Path]) -> Any:
    """Two prompts of different length, padded on the left; the first has an image."""
    texts = ["Is there a spoon?", "hello"]
    return chat.encode(tiny, texts, [[chat.open_image(images[0])], []])[0]


def at(level: str, layer: int, vector: torch.Tensor) -> Revision:
    return Revision(layers={layer: vector}) if level == "layer" else Revision(heads={layer: vector})


def hooks(model: torch.nn.Module) -> list[list[int]]:
    """Ids of all registered hooks; transformers leaves some of its own behind (output_hidden_states)."""
    return [[*m._forward_hooks, *m._forward_pre_hooks, *m._forward_hooks_with_kwargs] for m in model.modules()]


def greedy(model: Any, features: Any, new: int = 10, **settings: Any) -> tuple[list[list[int]], torch.Tensor]:
    out = model.generate(
        **features, max_new_tokens=new, min_new_tokens=new, do_sample=False,
        return_dict_in_generate=True, output_logits=True, **settings,
    )  # fmt: skip
    return out.sequences[:, features["input_ids"].shape[1] :].tolist(), torch.stack(out.logits, 1)


def by_hand(
    model: Any,
    decoder: Decoder,
    features: Any,
    level: str,
    layer: int,
    vector: torch.Tensor,
    first: int,
    end: int | None,
    new: int = 10,
) -> list[list[int]]:
    """Greedy without a cache: the whole sequence anew each step, the vector added at positions first ... end - 1."""

    def add(hidden: torch.Tensor) -> torch.Tensor:
        steered = hidden.clone()
        steered[:, first:end] += vector
        return steered

    inputs = dict(features)
    if level == "layer":
        handle = decoder.layers[layer].register_forward_hook(lambda module, args, output: add(output))
    else:
        handle = decoder.projections[layer].register_forward_pre_hook(lambda module, args: (add(args[0]),))
    try:
        for _ in range(new):
            positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
            with torch.no_grad():
                logits = model(**inputs, position_ids=positions, use_cache=False).logits[:, -1]
            logits[:, 2] = -torch.inf  # as min_new_tokens does
            chosen = logits.argmax(-1, keepdim=True)
            inputs["input_ids"] = torch.cat([inputs["input_ids"], chosen], 1)
            inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(chosen)], 1)
    finally:
        handle.remove()
    return inputs["input_ids"][:, -new:].tolist()


def span(positions: str, n: int) -> tuple[int, int | None]:
    """The steered positions of a prompt of n tokens, from the first up to the second."""
    return {"last": (n - 1, None), "generated": (n, None), "prompt": (0, n), "all": (0, None)}[positions]


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The functions above."""
    return SimpleNamespace(at=at, hooks=hooks, greedy=greedy, by_hand=by_hand, span=span)
