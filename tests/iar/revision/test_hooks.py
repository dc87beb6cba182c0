from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from iar.errors import UserError
from iar.models import LoadedModel, chat
from iar.revision.hooks import position_mask, steering

POSITIONS = ("last", "generated", "prompt", "all")


@pytest.fixture(scope="module")
def vector() -> torch.Tensor:
    return torch.randn(32, generator=torch.Generator().manual_seed(1)) * 4


@pytest.fixture(scope="module")
def features(tiny: LoadedModel, images: list[Path]) -> Any:
    texts = ["Is there a spoon?", "hello"]
    return chat.encode(tiny, texts, [[chat.open_image(images[0])], []])[0]


def block_outputs(tiny: LoadedModel, features: Any) -> list[torch.Tensor]:
    """Raw block outputs; the hooks are registered later than steering's, so they see its result."""
    outputs: list[torch.Tensor] = []
    handles = [layer.register_forward_hook(lambda m, i, o: outputs.append(o)) for layer in tiny.decoder.layers]
    with torch.no_grad():
        tiny.model(**features)
    for handle in handles:
        handle.remove()
    return outputs


def hooks(tiny: LoadedModel) -> list[list[int]]:
    """Ids of all registered hooks; transformers leaves some of its own behind (output_hidden_states)."""
    return [list(module._forward_hooks) for module in tiny.model.modules()]


def greedy(tiny: LoadedModel, features: Any, new: int = 10, **settings: Any) -> tuple[list[list[int]], torch.Tensor]:
    out = tiny.model.generate(
        **features, max_new_tokens=new, min_new_tokens=new, do_sample=False,
        return_dict_in_generate=True, output_logits=True, **settings,
    )  # fmt: skip
    return out.sequences[:, features["input_ids"].shape[1] :].tolist(), torch.stack(out.logits, 1)


def by_hand(
    tiny: LoadedModel, features: Any, layer: int, vector: torch.Tensor, first: int, end: int | None, new: int = 10
) -> list[list[int]]:
    """Greedy without a cache: the whole sequence anew each step, the vector added at positions first ... end - 1."""

    def add(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        steered = output.clone()
        steered[:, first:end] += vector
        return steered

    inputs = dict(features)
    handle = tiny.decoder.layers[layer].register_forward_hook(add)
    try:
        for _ in range(new):
            positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
            with torch.no_grad():
                logits = tiny.model(**inputs, position_ids=positions, use_cache=False).logits[:, -1]
            logits[:, 2] = -torch.inf  # as min_new_tokens does
            chosen = logits.argmax(-1, keepdim=True)
            inputs["input_ids"] = torch.cat([inputs["input_ids"], chosen], 1)
            inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(chosen)], 1)
    finally:
        handle.remove()
    return inputs["input_ids"][:, -new:].tolist()


@pytest.mark.parametrize(
    ("positions", "steered"),
    [("last", [4, 5, 6]), ("generated", [5, 6]), ("prompt", [0, 1, 2, 3, 4]), ("all", [0, 1, 2, 3, 4, 5, 6])],
)
def test_mask_of_absolute_positions(positions: str, steered: list[int]) -> None:
    assert [t for t, on in enumerate(position_mask(positions, 0, 7, 5)) if on] == steered
    # The same, fed as a prompt and two decode steps.
    parts = position_mask(positions, 0, 5, 5) + position_mask(positions, 5, 1, 5) + position_mask(positions, 6, 1, 5)
    assert [t for t, on in enumerate(parts) if on] == steered


def test_before_equal_at_exactly_plus_vector(tiny: LoadedModel, features: Any, vector: torch.Tensor) -> None:
    plain = block_outputs(tiny, features)
    with steering(tiny.decoder, [{3: vector}, {}], ["last", "last"]):
        steered = block_outputs(tiny, features)
    for layer in range(3):
        assert torch.equal(steered[layer], plain[layer])
    assert torch.equal(steered[3][0, :-1], plain[3][0, :-1])
    assert torch.equal(steered[3][0, -1], plain[3][0, -1] + vector)
    assert not torch.allclose(steered[4][0, -1], plain[4][0, -1])
    for layer in range(6):
        assert torch.equal(steered[layer][1], plain[layer][1])


def test_the_model_is_as_it_was(tiny: LoadedModel, features: Any, vector: torch.Tensor) -> None:
    registered = hooks(tiny)
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    logits = tiny.model(**features).logits
    with pytest.raises(RuntimeError, match="inside"), steering(tiny.decoder, [{3: vector}] * 2, ["all"] * 2):
        assert not torch.equal(tiny.model(**features).logits, logits)
        raise RuntimeError("inside")
    assert torch.equal(tiny.model(**features).logits, logits)
    assert hooks(tiny) == registered
    after = tiny.model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_the_hook_returns_a_new_tensor_also_in_a_tuple(tiny: LoadedModel, vector: torch.Tensor) -> None:
    class Block(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, str]:
            return hidden, "weights"

    block = Block()
    decoder = type(tiny.decoder)(torch.nn.ModuleList([block]), 32, "layers")
    hidden = torch.zeros(1, 3, 32)
    with steering(decoder, [{0: vector}], ["all"]):
        out, rest = block(hidden)
    assert torch.equal(out, vector.expand(1, 3, 32))
    assert rest == "weights"
    assert not hidden.any()


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("settings", [{}, {"use_cache": False}, {"cache_implementation": "static"}])
def test_decode_steps_are_steered(
    tiny: LoadedModel, features: Any, vector: torch.Tensor, positions: str, settings: dict[str, Any]
) -> None:
    n = features["input_ids"].shape[1]
    first, end = {"last": (n - 1, None), "generated": (n, None), "prompt": (0, n), "all": (0, None)}[positions]
    expected = by_hand(tiny, features, 2, vector, first, end)
    if settings.get("cache_implementation"):
        settings = settings | {"disable_compile": True}
    with steering(tiny.decoder, [{2: vector}] * 2, [positions] * 2):
        tokens, _ = greedy(tiny, features, **settings)
    assert tokens == expected
    assert tokens != greedy(tiny, features)[0]
    assert min(len(set(row)) for row in tokens) >= 3  # token equality says nothing about a model that repeats itself


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_prompt_of_one_token(tiny: LoadedModel, vector: torch.Tensor, positions: str) -> None:
    features = {"input_ids": torch.tensor([[40]]), "attention_mask": torch.ones(1, 1, dtype=torch.long)}
    first, end = {"last": (0, None), "generated": (1, None), "prompt": (0, 1), "all": (0, None)}[positions]
    expected = by_hand(tiny, features, 2, vector, first, end)
    with steering(tiny.decoder, [{2: vector}], [positions]):
        assert greedy(tiny, features)[0] == expected


def test_mixed_rows_equal_single_rows(tiny: LoadedModel, images: list[Path], vector: torch.Tensor) -> None:
    texts = ["Is there a spoon?", "How do I use this knife?", "hello", "Which letter is the answer? A. cat", "I", "I"]
    opened = [[chat.open_image(images[i])] if i < 3 else [] for i in range(6)]
    rows = [{1: vector}, {3: -vector, 5: vector}, {}, {5: vector * 2}, {2: vector}, {2: vector}]
    positions = ["last", "all", "last", "generated", "prompt", "last"]
    batch, _ = chat.encode(tiny, texts, opened)
    assert (batch["attention_mask"] == 0).any()
    with steering(tiny.decoder, rows, positions):
        tokens, logits = greedy(tiny, batch)
    for i, text in enumerate(texts):
        single, _ = chat.encode(tiny, [text], [opened[i]])
        with steering(tiny.decoder, [rows[i]], [positions[i]]):
            alone, alone_logits = greedy(tiny, single)
        assert alone[0] == tokens[i]
        assert (alone_logits[0] - logits[i]).nan_to_num(0).abs().max() < 1e-4
    assert len({tuple(row) for row in tokens}) == 6


def test_beams_follow_their_row(tiny: LoadedModel, features: Any, vector: torch.Tensor) -> None:
    def beams(inputs: Any, rows: list[dict[int, torch.Tensor]]) -> list[list[int]]:
        with steering(tiny.decoder, rows, ["last"] * len(rows)):
            return greedy(tiny, inputs, num_beams=3)[0]

    both = beams(features, [{2: vector}, {4: -vector}])
    first = {k: v[:1] for k, v in features.items()}
    second = {k: v[1:] for k, v in features.items() if k != "pixel_values"}
    assert both == beams(first, [{2: vector}]) + beams(second, [{4: -vector}])


def test_a_new_cache_is_a_new_prompt_and_a_prompt_may_come_in_parts(
    tiny: LoadedModel, features: Any, vector: torch.Tensor
) -> None:
    ids = torch.arange(40, 49)[None]

    def logits(cuts: list[int], length: int | None, prompts: int = 1) -> torch.Tensor:
        with torch.no_grad(), steering(tiny.decoder, [{2: vector}], ["last"], prompt_length=length):
            for _ in range(prompts):
                cache, out = DynamicCache(config=tiny.model.config.text_config), []
                for start, end in zip([0, *cuts], [*cuts, 9], strict=True):
                    out.append(tiny.model(input_ids=ids[:, start:end], past_key_values=cache).logits)
        return torch.cat(out, 1)

    whole = logits([7, 8], None)
    assert torch.equal(logits([7, 8], None, prompts=2), whole)
    assert (logits([4, 7, 8], 7) - whole).abs().max() < 1e-4
    assert (logits([4, 7, 8], None) - whole).abs().max() > 1e-2


def test_strength_zero_equals_none(tiny: LoadedModel, features: Any, vector: torch.Tensor) -> None:
    tokens, logits = greedy(tiny, features)
    with steering(tiny.decoder, [{2: 0 * vector}] * 2, ["all"] * 2):
        same_tokens, same_logits = greedy(tiny, features)
    assert same_tokens == tokens
    assert torch.equal(same_logits, logits)


@pytest.mark.parametrize(
    ("rows", "positions", "message"),
    [
        (lambda v: [{6: v}], ["last"], "layer 6 is outside the model: its layers are 0 to 5"),
        (lambda v: [{1: v[:5]}], ["last"], r"vector of layer 1 has shape \(5,\), the model needs \(32,\)"),
        (lambda v: [{1: v}], ["lats"], "unknown positions 'lats': did you mean 'last'"),
    ],
)
def test_bad_input(
    tiny: LoadedModel, vector: torch.Tensor, rows: Callable[[Any], Any], positions: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message), steering(tiny.decoder, rows(vector), positions):
        pass


def test_a_batch_of_another_size_is_refused(tiny: LoadedModel, features: Any, vector: torch.Tensor) -> None:
    registered = hooks(tiny)
    rows, positions = [{1: vector}] * 3, ["last"] * 3
    with pytest.raises(ValueError, match="for 3 rows, the batch has 2"), steering(tiny.decoder, rows, positions):
        tiny.model(**features)
    assert hooks(tiny) == registered
