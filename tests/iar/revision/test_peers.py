"""The same vector gives the same tokens as other libraries, and their known faults are not ours.

steering-vectors and repeng are installed into a folder of their own (``IAR_PEERS`` names one to keep), never beside
iar; without a package index these tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from iar.models import LoadedModel, load
from iar.revision import revise
from iar.vectors import VectorSet
from tests.iar.revision.run_peers import run_peers

PACKAGES = ("steering-vectors==0.12.2", "repeng==0.4.0", "gguf==0.19.0")  # the versions whose faults are named below
LAYER = 2


@pytest.fixture(scope="module")
def peers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("IAR_PEERS") or tmp_path_factory.mktemp("peers"))
    if not (folder / "steering_vectors").is_dir() or not (folder / "repeng").is_dir():
        # Without their dependencies: steering-vectors pins an older transformers.
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        options = ["--timeout", "4", "--retries", "0", "--target", str(folder)]
        try:
            done = subprocess.run([*pip, *options, *PACKAGES], capture_output=True, text=True, timeout=40)
        except subprocess.TimeoutExpired:
            pytest.skip("installing steering-vectors and repeng took longer than 40 s")
        if done.returncode:
            pytest.skip(f"cannot install steering-vectors and repeng: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@pytest.fixture(scope="module")
def found(
    peers_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_folder: Path,
    save_tiny_llava: Callable[..., Path],
    features: dict[str, torch.Tensor],
    vectors: VectorSet,
) -> dict[str, Any]:
    """What the peers answer, by name. They are on the path, and loaded, meanwhile only."""
    deep = save_tiny_llava(tmp_path_factory.mktemp("inputs") / "deep", text_layers=2, vision_layers=4)
    before = {*sys.modules}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(peers_folder)
        # repeng 0.4.0 names it while it is imported; NumPy 2 has it no longer.
        patch.setattr(numpy, "float_", numpy.float64, raising=False)
        found = run_peers(tiny_folder, deep, features, 2 * vectors.vectors[LAYER], LAYER)
    for name in {*sys.modules} - before:
        if str(peers_folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    return dict(found)


@pytest.fixture(scope="module")
def ours(kit: Any, tiny: LoadedModel, features: Any, vectors: VectorSet) -> Callable[[str], list[list[int]]]:
    def answer(positions: Any) -> list[list[int]]:
        with revise(tiny, vectors, layers=[LAYER], strength=2, positions=positions):
            return kit.greedy(tiny.model, features)[0]

    return answer


def answer_of(found: dict[str, Any], what: str) -> Any:
    if what not in found:
        error = found.get(f"{what.split()[0].replace('-', '_')} error", "no such fault any more")
        pytest.skip(f"{what}: {error}")
    return found[what]


@pytest.mark.parametrize("peer", ["steering-vectors", "repeng"])
def test_same_tokens(kit: Any, tiny: LoadedModel, features: Any, ours: Any, found: dict[str, Any], peer: str) -> None:
    answer = ours("all")
    assert answer_of(found, peer) == answer
    assert answer != kit.greedy(tiny.model, features)[0]
    assert min(len(set(row)) for row in answer) >= 3


def test_same_tokens_as_nnsight(
    kit: Any, tiny: LoadedModel, tiny_folder: Path, features: Any, vectors: VectorSet, ours: Any
) -> None:
    from nnsight.modeling.transformers import TransformersModel

    vector = 2 * vectors.vectors[LAYER]
    traced = TransformersModel(str(tiny_folder), task="image-text-to-text", dispatch=True)
    settings = {"max_new_tokens": 10, "min_new_tokens": 10, "do_sample": False}
    with traced.generate(**features, **settings) as tracer:
        for _ in tracer.iter[:10]:
            block = traced.model.language_model.layers[LAYER]
            block.output = block.output + vector
        out = tracer.result.save()
    assert out[:, features["input_ids"].shape[1] :].tolist() == ours("all")


def test_their_faults_are_real(kit: Any, tiny: LoadedModel, features: Any, found: dict[str, Any]) -> None:
    """So that the tests below guard against something."""
    assert answer_of(found, "steering-vectors min_token_index") == kit.greedy(tiny.model, features)[0]
    assert "vision_tower" in answer_of(found, "steering-vectors blocks")
    assert "is invalid for input of size" in answer_of(found, "repeng batch of 4")


def test_min_token_index_with_a_cache(
    kit: Any, tiny: LoadedModel, features: Any, ours: Any, vectors: VectorSet
) -> None:
    """steering-vectors counts a step's own tokens: from the prompt's end on, it steers nothing, and says nothing."""
    n = features["input_ids"].shape[1]
    by_hand = kit.by_hand(tiny.model, tiny.decoder, features, "layer", LAYER, 2 * vectors.vectors[LAYER], n, None)
    assert ours("generated") == by_hand != kit.greedy(tiny.model, features)[0]


def test_a_vision_tower_deeper_than_the_text(
    tmp_path: Path, save_tiny_llava: Callable[..., Path], random_vectors: Callable[..., VectorSet], features: Any
) -> None:
    """steering-vectors takes the longest list of blocks, which is the vision tower's."""
    loaded = load(save_tiny_llava(tmp_path / "deep", text_layers=2, vision_layers=4))
    assert loaded.decoder.path == "model.language_model.layers"
    with torch.no_grad():
        plain = loaded.model(**features, output_hidden_states=True).hidden_states
        with revise(loaded, random_vectors(layers=2), layers=[0]):
            steered = loaded.model(**features, output_hidden_states=True).hidden_states
    assert torch.equal(steered[0], plain[0])  # the visual features among them
    assert not torch.equal(steered[1], plain[1])


def test_batch_of_four_plain_forward(tiny: LoadedModel, features: Any, vectors: VectorSet) -> None:
    """repeng reads the batch's shape off position_ids, of which a plain forward has one row: no batched scoring."""
    one = {name: value[1:] for name, value in features.items() if name != "pixel_values"}
    four = {name: value.repeat(4, 1) for name, value in one.items()}
    with torch.no_grad():
        with revise(tiny, vectors, layers=[LAYER], strength=[0, 1, 2, 3], positions="all"):
            together = tiny.model(**four).logits
        for strength, row in enumerate(together):
            with revise(tiny, vectors, layers=[LAYER], strength=strength, positions="all"):
                assert (tiny.model(**one).logits - row).abs().max() < 1e-4
    assert (together[0] - together[1]).abs().max() > 0.1


@pytest.mark.parametrize("layer", range(6))
def test_layer_off_by_one_and_no_layer_left_out(
    tiny: LoadedModel, features: Any, vectors: VectorSet, layer: int
) -> None:
    """Layer l is block l, hidden_states[l + 1], which several libraries mix up; repeng's default never has layer 0.

    The last layer's hidden_states entry comes after the final norm, so the block itself is asked.
    """
    outputs: list[torch.Tensor] = []
    handles = [block.register_forward_hook(lambda m, i, o: outputs.append(o)) for block in tiny.decoder.layers]
    try:
        with torch.no_grad():
            states = tiny.model(**features, output_hidden_states=True).hidden_states
            with revise(tiny, vectors, layers=[layer], positions="all"):
                tiny.model(**features)
    finally:
        for handle in handles:
            handle.remove()
    plain, steered = outputs[:6], outputs[6:]
    assert all(torch.equal(a, b) for a, b in zip(plain[:layer], steered[:layer], strict=True))
    assert torch.equal(steered[layer], plain[layer] + vectors.vectors[layer])
    if layer < 5:
        assert torch.equal(plain[layer], states[layer + 1])


def test_pads(kit: Any, tiny: LoadedModel, features: Any, vectors: VectorSet) -> None:
    """Padding moves no position: more of it on the left changes no answer, at any position and level."""
    n = features["input_ids"].shape[1]
    padded = dict(features) | {
        "input_ids": torch.nn.functional.pad(features["input_ids"], (5, 0), value=0),
        "attention_mask": torch.nn.functional.pad(features["attention_mask"], (5, 0), value=0),
    }
    for place in ({"layers": [LAYER]}, {"heads": 12}):
        for positions in ("last", "generated", "prompt", "all"):
            with revise(tiny, vectors, strength=2, positions=positions, **place):  # type: ignore[arg-type]
                tokens, logits = kit.greedy(tiny.model, features)
                padded_tokens, padded_logits = kit.greedy(tiny.model, padded)
            assert padded_tokens == tokens
            assert (padded_logits - logits).nan_to_num(0).abs().max() < 1e-4
    assert padded["input_ids"].shape[1] == n + 5
