"""What steering-vectors and repeng make of the tiny model; both must be importable.

Each peer adds the vector at every position of one block's output, as its documentation says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForImageTextToText


def run_peers(model: Path, deep: Path, features: Mapping[str, torch.Tensor], vector: torch.Tensor, layer: int) -> Any:
    """Answers by name; a peer that does not run here is reported, and the test says so."""
    found: dict[str, Any] = {}
    for peer in (steering_vectors, repeng):
        try:
            found |= peer(model, deep, dict(features), vector, layer)
        except Exception as error:
            found[f"{peer.__name__} error"] = f"{type(error).__name__}: {error}"
    return found


def loaded(folder: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(folder).eval()


def tokens(steered: Any, inputs: dict[str, torch.Tensor]) -> Any:
    settings = {"max_new_tokens": 10, "min_new_tokens": 10, "do_sample": False}
    return steered.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :].tolist()


def steering_vectors(
    model: Path, deep: Path, inputs: dict[str, torch.Tensor], vector: torch.Tensor, layer: int
) -> dict[str, Any]:
    from steering_vectors import SteeringVector
    from steering_vectors.layer_matching import guess_decoder_block_matcher

    found: dict[str, Any] = {}
    llava = loaded(model)
    vectors = SteeringVector({layer: vector.clone()})
    with vectors.apply(llava):
        found["steering-vectors"] = tokens(llava, inputs)
    with vectors.apply(llava, min_token_index=inputs["input_ids"].shape[1]):
        found["steering-vectors min_token_index"] = tokens(llava, inputs)
    found["steering-vectors blocks"] = guess_decoder_block_matcher(loaded(deep))
    return found


def repeng(
    model: Path, deep: Path, inputs: dict[str, torch.Tensor], vector: torch.Tensor, layer: int
) -> dict[str, Any]:
    from repeng import ControlModel

    found: dict[str, Any] = {}
    llava = loaded(model)
    control = ControlModel(SimpleNamespace(model=llava.model.language_model), [layer])  # type: ignore[arg-type]
    control.set_raw_control({layer: vector.clone()})
    found["repeng"] = tokens(llava, inputs)
    four = {name: value[1:].repeat(4, 1) for name, value in inputs.items() if name != "pixel_values"}
    try:
        llava(**four)
    except RuntimeError as error:
        found["repeng batch of 4"] = str(error)
    return found
