"""``torch.compile`` does not see hooks that come after it, and says nothing; ``revise`` is exact in every order.

What matters is what gets traced, so most cases run the traced graph as it is; one case builds machine code.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import LlamaConfig, LlamaForCausalLM

from iar.models import decoder_of
from iar.revision import Configuration, directions, revise, steering
from iar.vectors import VectorSet

IDS = torch.arange(5, 14)[None].repeat(2, 1)
PLACES: list[dict[str, Any]] = [{"layers": [0]}, {"heads": 3}]


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=48, num_attention_heads=4, num_hidden_layers=1, vocab_size=64,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(12)
    return model


@pytest.fixture
def vectors(random_vectors: Callable[..., VectorSet]) -> VectorSet:
    return random_vectors(layers=1)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def tokens(model: Any, new: int = 8) -> list[list[int]]:
    settings = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": False}
    return model.generate(IDS, attention_mask=torch.ones_like(IDS), **settings)[:, 9:].tolist()


def compile_with(model: Any, counter: CompileCounterWithBackend) -> None:
    model.forward = torch.compile(model.forward, dynamic=True, backend=counter)


def test_a_compiled_model_is_steered(model: Any, vectors: VectorSet) -> None:
    plain, expected = tokens(model), []
    for place in PLACES:
        with revise(model, vectors, **place):
            expected.append(tokens(model))
    assert len({str(plain), *map(str, expected)}) == 3
    counter = CompileCounterWithBackend("eager")
    compile_with(model, counter)
    assert tokens(model) == plain
    graphs = counter.frame_count
    assert graphs >= 1
    # Hooks that come now are ignored. Why ``revise`` does anything at all: if this fails, torch has changed.
    with steering(decoder_of(model), [directions(Configuration("iar", (0,), 1.0), vectors)], ["last"]):
        assert tokens(model) == plain
    # Steered outside the graphs, which stay.
    for place, steered in [*zip(PLACES, expected, strict=True)] * 2:
        with revise(model, vectors, **place):
            assert tokens(model) == steered
        assert tokens(model) == plain
    assert counter.frame_count == graphs
    # Compiled inside.
    for place, steered in zip(PLACES, expected, strict=True):
        before = counter.frame_count
        with revise(model, vectors, compiled=True, **place):
            assert tokens(model) == steered
            assert 1 <= counter.frame_count - before <= 5  # for eight tokens: not one a decode step
        assert tokens(model) == plain


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler")
def test_machine_code(model: Any, vectors: VectorSet) -> None:
    compiled = torch.compile(model)
    with torch.no_grad():
        plain = model(IDS, use_cache=False).logits
        with revise(model, vectors, layers=[0], strength=[1, -1]):
            expected = model(IDS, use_cache=False).logits
        with revise(model, vectors, layers=[0], strength=[1, -1], compiled=True):
            assert (compiled(IDS, use_cache=False).logits - expected).abs().max() < 1e-4
    assert (plain - expected).abs().max() > 0.1
