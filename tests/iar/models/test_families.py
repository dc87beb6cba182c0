"""Steering, heads and prefix sharing on a tiny random model of every family; docs/models.md says what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.utils import is_torchvision_available

from iar.errors import UserError
from iar.models.decoder import decoder_of

DOCS = Path(__file__).resolve().parents[3] / "docs" / "models.md"
LANGUAGE = "model.language_model.layers"
# family -> (path of the blocks, name of the attention output projection in a block, head size); heads are always 4
EXPECTED = {
    "llava": (LANGUAGE, "self_attn.o_proj", 8),
    "vipllava": (LANGUAGE, "self_attn.o_proj", 8),
    "llava_next": (LANGUAGE, "self_attn.o_proj", 8),
    "llava_onevision": (LANGUAGE, "self_attn.o_proj", 8),
    "internvl": (LANGUAGE, "self_attn.o_proj", 8),
    "deepseek_vl": (LANGUAGE, "self_attn.o_proj", 8),
    "deepseek_vl_hybrid": (LANGUAGE, "self_attn.o_proj", 8),
    "qwen2_vl": (LANGUAGE, "self_attn.o_proj", 8),
    "qwen2_5_vl": (LANGUAGE, "self_attn.o_proj", 8),
    "qwen3_vl": (LANGUAGE, "self_attn.o_proj", 16),
    "gemma3": (LANGUAGE, "self_attn.o_proj", 16),
    "paligemma": (LANGUAGE, "self_attn.o_proj", 16),
    "idefics3": ("model.text_model.layers", "self_attn.o_proj", 8),
    "mllama": (LANGUAGE, "self_attn.o_proj", 8),
    "mistral3": (LANGUAGE, "self_attn.o_proj", 16),
    "aya_vision": (LANGUAGE, "self_attn.o_proj", 8),
    "glm4v": (LANGUAGE, "self_attn.o_proj", 8),
    "janus": (LANGUAGE, "self_attn.o_proj", 8),
    "blip-2": ("language_model.model.decoder.layers", "self_attn.out_proj", 8),
    "instructblip": ("language_model.model.decoder.layers", "self_attn.out_proj", 8),
    "fuyu": (LANGUAGE, "self_attn.dense", 8),
    "llama": ("model.layers", "self_attn.o_proj", 8),
    "qwen2": ("model.layers", "self_attn.o_proj", 8),
    "gemma2": ("model.layers", "self_attn.o_proj", 16),
    "gpt2": ("transformer.h", "attn.c_proj", 8),
    "opt": ("model.decoder.layers", "self_attn.out_proj", 8),
    "deepseek_v3": ("model.layers", "self_attn.o_proj", 12),
    "qwen3_5_text": ("model.layers", "self_attn.o_proj", 16),
}
EVERY = pytest.mark.parametrize("name", EXPECTED)
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Module .* has a submodule named 'output':UserWarning"),
]


@contextmanager
def hooks(*handles: Any) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run(model: Any, inputs: dict[str, Any], **options: Any) -> Any:
    with torch.no_grad():
        return model(**inputs, **options)


def blocks(tiny: Any, **options: Any) -> tuple[list[Tensor], Any]:
    """Every block's output by a raw hook, and what the model returns."""
    seen: list[Tensor] = []
    with hooks(*(layer.register_forward_hook(lambda m, a, out: seen.append(out)) for layer in tiny.decoder.layers)):
        return seen, run(tiny.model, tiny.inputs, **options)


def add(vector: Tensor, calls: list[int] | None = None) -> Callable[..., Tensor]:
    """A hook that adds to the last position and returns a new tensor."""

    def hook(module: nn.Module, args: Any, out: Tensor) -> Tensor:
        if calls is not None:
            calls.append(out.shape[1])
        return torch.cat([out[:, :-1], out[:, -1:] + vector], 1)

    return hook


def text_part(outputs: Any) -> Any:
    """BLIP-2 keeps the text model's outputs one level down."""
    return outputs.language_model_outputs if "language_model_outputs" in outputs else outputs


def shared_prefix_difference(tiny: Any) -> float:
    """Largest logit difference between the last token alone, behind the prompt in a cache, and one plain pass."""
    length = tiny.inputs["input_ids"].shape[1]

    def cut(start: int, stop: int, names: set[str]) -> dict[str, Any]:
        rows = {key: value for key, value in tiny.inputs.items() if key in names}
        return {key: v[:, start:stop] if v.shape[:2] == (1, length) else v for key, v in rows.items()}

    prefix = run(tiny.model, cut(0, length - 1, set(tiny.inputs)), use_cache=True)
    # Without a mask: a mask of the whole length makes the M-RoPE families place the one token as if it were all.
    last = cut(length - 1, length, {"input_ids", "token_type_ids", "cross_attention_mask"})
    shared = run(tiny.model, last, past_key_values=text_part(prefix).past_key_values)
    return float((shared.logits[0, -1] - run(tiny.model, tiny.inputs).logits[0, -1]).abs().max())


def test_every_family_is_tested(families: ModuleType) -> None:
    assert list(families.FAMILIES) == list(EXPECTED)


@EVERY
def test_decoder(name: str, family: Callable[[str], Any]) -> None:
    tiny = family(name)
    path, projection, head_size = EXPECTED[name]
    decoder = tiny.decoder
    assert (decoder.path, len(decoder), decoder.hidden_size) == (path, 3, 32)
    assert (decoder.heads, decoder.head_size, decoder.heads_problem) == (4, head_size, "")
    found = []
    for layer, module in zip(decoder.layers, decoder.projections, strict=True):
        found.append(next((key for key, value in layer.named_modules() if value is module), None))
    expected: list[str | None] = [projection] * 3
    if name == "mllama":
        expected[1] = "cross_attn.o_proj"
    if name == "qwen3_5_text":
        expected[0] = expected[2] = None
    assert found == expected


@EVERY
def test_heads(name: str, family: Callable[[str], Any]) -> None:
    """The projection's input is attention x V of each head, in (head dim) order; without it the attention is silent."""
    tiny = family(name)
    decoder = tiny.decoder
    for layer, projection in zip(decoder.layers, decoder.projections, strict=True):
        if projection is None:
            continue
        key = next(key for key, module in layer.named_modules() if module is projection)
        attention = layer.get_submodule(key.rpartition(".")[0])
        seen: dict[str, Tensor] = {}
        handles = [
            projection.register_forward_pre_hook(lambda m, args, seen=seen: seen.update(input=args[0])),
            attention.register_forward_hook(lambda m, args, out, seen=seen: seen.update(weights=out[1])),
        ]
        if hasattr(attention, "v_proj"):
            handles.append(attention.v_proj.register_forward_hook(lambda m, args, out, seen=seen: seen.update(v=out)))
        with hooks(*handles):
            run(tiny.model, tiny.inputs)
        tokens = tiny.inputs["input_ids"].shape[1]
        heads = seen["input"].view(1, tokens, decoder.heads, decoder.head_size)
        if name in ("fuyu", "gpt2", "deepseek_v3", "qwen3_5_text"):  # V is fused with others, or the output is gated
            assert name == "qwen3_5_text" or "v" not in seen
        else:
            value = seen["v"].reshape(1, -1, seen["v"].shape[-1] // decoder.head_size, decoder.head_size)
            value = value.repeat_interleave(decoder.heads // value.shape[2], 2)
            expected = torch.einsum("bhqk,bkhd->bqhd", seen["weights"], value)
            torch.testing.assert_close(heads, expected, atol=1e-6, rtol=1e-5)
        silent: list[Tensor] = []
        with hooks(
            projection.register_forward_pre_hook(lambda m, args: (torch.zeros_like(args[0]),)),
            attention.register_forward_hook(lambda m, args, out, silent=silent: silent.append(out[0])),
        ):
            run(tiny.model, tiny.inputs)
        bias = getattr(projection, "bias", None)
        assert heads.abs().max() > 1e-2
        assert torch.equal(silent[0], (torch.zeros(32) if bias is None else bias).expand_as(silent[0]))


@EVERY
def test_a_hook_changes_only_what_comes_after(name: str, family: Callable[[str], Any]) -> None:
    tiny = family(name)
    vector = torch.linspace(-1, 1, 32)
    before, outputs = blocks(tiny, output_hidden_states=True)
    hidden = text_part(outputs).hidden_states
    assert all(torch.equal(hidden[i + 1], before[i]) for i in range(2))
    for i, layer in enumerate(tiny.decoder.layers):
        with hooks(layer.register_forward_hook(add(vector))):
            after, steered = blocks(tiny, output_hidden_states=True)
        assert all(torch.equal(a, b) for a, b in zip(after[:i], before[:i], strict=True))
        assert torch.equal(after[i][:, :-1], before[i][:, :-1])
        assert torch.equal(after[i][:, -1], before[i][:, -1] + vector)
        assert all(not torch.equal(a[:, -1], b[:, -1]) for a, b in zip(after[i:], before[i:], strict=True))
        assert (steered.logits[0, -1] - outputs.logits[0, -1]).abs().max() > 1e-2
        if (
            i < 2
        ):  # transformers records hidden states inside the block's forward, before hooks: steering is not in them
            assert torch.equal(text_part(steered).hidden_states[i + 1], before[i])
    again, _ = blocks(tiny)
    assert all(torch.equal(a, b) for a, b in zip(again, before, strict=True))


@EVERY
def test_generate_with_a_hook(name: str, family: Callable[[str], Any]) -> None:
    tiny = family(name)
    vector = torch.linspace(-1, 1, 32)
    options = {"do_sample": False, "min_new_tokens": 4, "max_new_tokens": 4}
    options |= {"return_dict_in_generate": True, "output_logits": True}
    calls: list[int] = []
    with torch.no_grad(), hooks(tiny.decoder.layers[1].register_forward_hook(add(vector, calls))):
        answer = tiny.model.generate(**tiny.inputs, **options)
        expected = run(tiny.model, tiny.inputs).logits[:, -1]
    tokens = tiny.inputs["input_ids"].shape[1]
    assert calls == [tokens, 1, 1, 1, tokens]  # once a step, then the plain pass
    torch.testing.assert_close(answer.logits[0], expected, atol=1e-4, rtol=0)
    assert (expected - run(tiny.model, tiny.inputs).logits[:, -1]).abs().max() > 1e-2


@EVERY
def test_the_image_counts(name: str, family: Callable[[str], Any]) -> None:
    """Otherwise the tests with an image would prove nothing about it."""
    tiny = family(name)
    pixels = [key for key in tiny.inputs if "pixel_values" in key]
    if not pixels:
        assert set(tiny.inputs) == {"input_ids", "attention_mask"}
        return
    other = tiny.inputs | {key: -tiny.inputs[key] for key in pixels}
    assert (run(tiny.model, other).logits[0, -1] - run(tiny.model, tiny.inputs).logits[0, -1]).abs().max() > 1e-2


@EVERY
def test_nnsight_sees_what_a_hook_sees(name: str, family: Callable[[str], Any]) -> None:
    import nnsight

    tiny = family(name)
    traced = nnsight.NNsight(tiny.model)
    layers = reduce(getattr, tiny.decoder.path.split("."), traced)
    with torch.no_grad(), traced.trace(**tiny.inputs):
        seen = nnsight.save([])
        for layer in layers:
            seen.append(layer.output)
    expected, _ = blocks(tiny)
    assert len(seen) == 3
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


@pytest.mark.parametrize(("name", "same"), [("paligemma", False), ("gemma3", True)])
def test_whether_the_image_depends_on_the_question(name: str, same: bool, family: Callable[[str], Any]) -> None:
    """If it does, not even the image alone can be shared by several questions."""
    tiny = family(name)
    place = int((tiny.inputs["input_ids"][0] == tiny.model.config.image_token_id).nonzero()[0])
    other = tiny.inputs["input_ids"].clone()
    other[0, -2] = 100
    before, _ = blocks(tiny)
    after, _ = blocks(replace(tiny, inputs=tiny.inputs | {"input_ids": other}))
    difference = (after[-1] - before[-1])[0, place].abs().max()
    assert difference == 0 if same else difference > 1e-2


@pytest.mark.parametrize(
    ("name", "depth"),
    [("llava", "num_hidden_layers"), ("internvl", "num_hidden_layers"), ("qwen2_5_vl", "depth")],
)
def test_a_deeper_vision_tower(
    name: str, depth: str, family: Callable[[str], Any], build_family: Callable[..., Any]
) -> None:
    model = build_family(name, family(name).folder, **{depth: 7})
    assert 7 in [len(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    decoder = decoder_of(model)
    assert (decoder.path, len(decoder)) == (LANGUAGE, 3)


def table() -> dict[str, dict[str, str]]:
    """The rows of docs/models.md by family."""
    rows = [line.strip("| ").split("|") for line in DOCS.read_text().splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip() for cell in row] for row in rows]
    return {row[0]: dict(zip(head[1:], row[1:], strict=False)) for row in body}


def test_the_table_has_every_family() -> None:
    assert list(table()) == list(EXPECTED)


@EVERY
def test_the_table_says_what_is_measured(
    name: str, family: Callable[[str], Any], ask_family: Callable[[str, Path], Any]
) -> None:
    tiny = family(name)
    row = table()[name]
    assert row["steering"] == "yes"  # or test_decoder and the hook tests fail
    missing = sum(projection is None for projection in tiny.decoder.projections)
    assert row["head level"] == ("attention blocks" if missing else "yes")
    try:
        difference = shared_prefix_difference(tiny)
    except TypeError:  # its forward asks for the pixels again
        difference = float("inf")
    assert row["prefix sharing"] == ("yes" if difference < 1e-4 else "no")
    if "pixel_values" not in tiny.inputs:
        assert row["images without torchvision"] == "text only"
    elif not is_torchvision_available():
        try:
            images = "pixel_values" in ask_family(name, tiny.folder)
        except (UserError, TypeError):
            images = False
        assert row["images without torchvision"] == ("yes" if images else "no")
