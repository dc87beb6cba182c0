"""Every family: how its branches share, and that they give the plain path's tokens and logits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from iar.generation.tree.check import GROW, _requests, self_check
from iar.generation.tree.request import Branch, Decoding, Place, Request
from iar.generation.tree.sweep import grow_trees
from iar.generation.tree.wave import Limits
from iar.models import LoadedModel, load

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TREE = (
    *("llava", "vipllava", "llava_next", "llava_onevision", "internvl", "deepseek_vl", "deepseek_vl_hybrid"),
    *("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3", "idefics3", "aya_vision", "glm4v", "janus"),
    *("llama", "qwen2", "gemma2", "gpt2", "opt", "deepseek_v3"),
)
OTHER = {"mllama": "expanded", "qwen3_5_text": "expanded", "paligemma": "plain"}
NOT_ASKED = ("blip-2", "instructblip", "fuyu")  # no chat template, so the check cannot ask them either
EAGER = ("gemma2", "deepseek_v3")  # Gemma2 caps its scores, which sdpa cannot
NEW = 3


def test_these_are_all(families: ModuleType) -> None:
    assert {*TREE, *OTHER, *NOT_ASKED, "mistral3"} == set(families.FAMILIES)


def exact(loaded: Any, asked: list[Request], grow: Any, plain: Callable[..., Any], every: int) -> float:
    """Largest difference of logits, relative to the largest logit; the tokens are equal."""
    logits: dict[Place, Tensor] = {}
    found = dict(grow(loaded, asked, Decoding(NEW), Limits(common=0.1, leaves=5), logits))
    assert len({tuple(ids) for ids in found.values()}) > 0.1 * len(found)
    worst = 0.0
    for r, b in sorted(found)[::every]:
        ids, theirs = plain(loaded, asked[r], asked[r].branches[b], NEW)
        assert found[r, b] == ids
        worst = max(worst, float((logits[r, b] - theirs).abs().max() / theirs.abs().max()))
    return worst


@pytest.mark.parametrize(
    ("name", "attention"),
    [*((name, "sdpa") for name in (*TREE, *OTHER) if name not in EAGER)]
    + [(name, "eager") for name in ("llava", "qwen2_vl", "gemma3", "mllama", *EAGER)],
)
def test_sharing_is_exact(
    name: str,
    attention: str,
    folder: Callable[[str], Path],
    branches: Callable[..., list[Branch]],
    plain: Callable[..., Any],
) -> None:
    loaded: LoadedModel = load(folder(name), attention=attention)
    sharing = self_check(loaded)
    assert sharing.mode == OTHER.get(name, "staged"), sharing.reason
    assert self_check(loaded) is sharing
    if name == "paligemma":
        assert sharing.reason.count("logits differ by") == 3
        return
    ways = branches(loaded)
    asked = [Request(request.inputs, ways) for request in _requests(loaded)]
    assert len(asked) == (
        2 if name in ("llama", "qwen2", "gemma2", "gpt2", "opt", "deepseek_v3", "qwen3_5_text") else 5
    )
    few = asked if len(asked) == 2 else [*asked[:2], asked[-1]]  # two questions on an image; the check asked them all
    assert exact(loaded, few, GROW[sharing.mode], plain, 11) < 1e-4


@pytest.mark.parametrize("name", ["mistral3", "fuyu"])
def test_inputs_by_hand(
    name: str,
    families: ModuleType,
    family: Callable[[str], Any],
    branches: Callable[..., Any],
    plain: Callable[..., Any],
) -> None:
    """Families whose processor, or chat template, is not there to be asked."""
    built = family(name)
    tokenizer = SimpleNamespace(pad_token_id=0, eos_token_id=2)
    loaded: Any = SimpleNamespace(
        model=built.model, decoder=built.decoder, device=torch.device("cpu"), tokenizer=tokenizer, id=name
    )
    ways, asked = branches(loaded), []
    for text in ((60, 61), (60, 70, 71, 72, 73)):
        ids = torch.cat([families.INPUTS[name]["input_ids"], torch.tensor([text])], 1)
        inputs = families.INPUTS[name] | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        asked.append(Request(inputs, ways))
    assert exact(loaded, asked, grow_trees, plain, 4) < 1e-4


@pytest.mark.parametrize(
    ("name", "grow"),
    [("llava", "expanded"), ("qwen3_5_text", "plain"), ("mllama", "plain"), ("qwen2_vl", "tree"), ("gemma2", "tree")],
)
def test_the_other_paths_are_exact_too(
    name: str, grow: Any, chain: Callable[[str], LoadedModel], branches: Callable[..., Any], plain: Callable[..., Any]
) -> None:
    loaded = chain(name)
    asked = [Request(request.inputs, branches(loaded)) for request in _requests(loaded)]
    assert exact(loaded, asked, partial(GROW[grow]), plain, 7) < 1e-4


def test_half_precision(folder: Callable[[str], Path]) -> None:
    assert self_check(load(folder("llava"), dtype="bfloat16")).mode == "staged"
