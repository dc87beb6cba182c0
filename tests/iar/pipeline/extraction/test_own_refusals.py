"""What a model refuses by itself, read from the embedded model, which refuses some of the pocket requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from iar import models
from iar.generation import Engine
from iar.judges import rules
from iar.models import chat
from iar.pipeline.extraction import gate_prompts, own_refusals
from iar.prompting import Turn, attack


@pytest.fixture(scope="module")
def pocket():
    return models.load("pocket")


def test_its_own_greedy_answers_decide(compose, pocket, pocket_data, monkeypatch):
    monkeypatch.setattr(own_refusals, "FOLDS", 1)  # few prompts are enough
    cfg = compose("sweep", f"data.root={pocket_data}")
    asked = gate_prompts.read(cfg).asked
    refused = own_refusals.read(cfg, pocket, asked)
    expected = [_refuses(pocket, example) for example in asked]
    assert refused is not None and refused.tolist() == expected


def test_inside_an_attack_the_attacked_prompt_is_asked(compose, pocket, pocket_data, monkeypatch):
    cfg = compose("sweep", f"data.root={pocket_data}")
    asked = gate_prompts.read(cfg).asked[:3]
    seen = []
    run = Engine.run

    def kept(engine, samples, configurations, most):
        seen.extend(engine.compose(sample, configurations[0]) for sample in samples)
        return run(engine, samples, configurations, most)

    monkeypatch.setattr(Engine, "run", kept)
    assert own_refusals.read(cfg, pocket, [replace(example, attack="turns") for example in asked]) is None
    for example, said in zip(asked, seen, strict=True):
        images = (example.image,) if example.image else ()
        assert said == attack.attacked((Turn("user", example.prompt, images),), "turns")


def _refuses(pocket, example) -> bool:
    images = [[chat.open_image(example.image)] if example.image else []]
    inputs, _ = chat.encode(pocket, [example.prompt], images)
    with torch.no_grad():
        out = pocket.model.generate(**inputs, max_new_tokens=own_refusals.TOKENS, do_sample=False)
    text = pocket.tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return rules.judge(example.prompt, text).label == "refusal"
