from __future__ import annotations

from random import Random

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from iar.models.pocket import WEIGHTS, architecture
from iar.models.pocket.curriculum import Example, example
from iar.models.pocket.encoding import Encoder
from iar.models.pocket.forward import TrainingForward


@pytest.fixture(scope="module")
def parts():
    """A pocket VLM with random weights large enough that every block changes the result, and its encoder."""
    torch.manual_seed(0)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(WEIGHTS)
    model = architecture.build(tokenizer)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.3 / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.1
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return model.eval(), Encoder(tokenizer, torch.device("cpu"))


def batch_of(encoder: Encoder, progress: float, with_image: bool) -> list[Example]:
    rng, items = Random(3), []
    while len(items) < 6:
        item = example(rng, progress)
        if (item.scene is not None) == with_image:
            items.append(item)
    return items


@pytest.mark.parametrize("with_image", [True, False])
def test_equals_transformers_llava(parts, with_image):
    model, encoder = parts
    ids, trained, pixels = encoder.batch(batch_of(encoder, 0.5, with_image))
    where = torch.zeros_like(trained)
    where[:, :-1] = trained[:, 1:]
    with torch.no_grad():
        ours, features = TrainingForward(model, compiled=False).logits(ids, pixels, where)
        mask = (ids != encoder.tokenizer.pad_token_id).long()
        inputs = {"input_ids": ids, "attention_mask": mask}
        theirs = model(**inputs, **({"pixel_values": pixels} if pixels is not None else {})).logits[where]
    assert ours.shape == theirs.shape and ours.shape[0] == int(trained.sum()) >= 16
    assert (features is not None) == with_image
    assert theirs.std() > 0.1
    assert (ours - theirs).abs().max() < 1e-4


def test_every_block_matters(parts):
    """Otherwise the comparison above would hold for a forward pass that leaves blocks out."""
    model, encoder = parts
    ids, trained, pixels = encoder.batch(batch_of(encoder, 0.5, True))
    forward = TrainingForward(model, compiled=False)
    with torch.no_grad():
        whole = forward.logits(ids, pixels, trained)[0]
        for layer in (0, 15, 31):
            weight = model.model.language_model.layers[layer].mlp.down_proj.weight
            kept = weight.clone()
            weight.zero_()
            assert (forward.logits(ids, pixels, trained)[0] - whole).abs().max() > 1e-3
            weight.copy_(kept)


def test_pixels_and_tokens_are_those_of_the_processor(parts):
    _, encoder = parts
    processor = architecture.make_processor(encoder.tokenizer)
    item = next(i for i in batch_of(encoder, 1.0, True) if len(i.answer) == 1)
    assert item.scene is not None
    content = [{"type": "image"}, {"type": "text", "text": item.prompt}]
    answer = [{"type": "text", "text": item.answer[0][0].strip()}]
    turns = [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
    rendered = processor.apply_chat_template(turns, tokenize=False)
    inputs = processor(text=[rendered], images=[item.scene.image], return_tensors="pt", add_special_tokens=False)
    ids, trained, pixels = encoder.batch([item])
    assert pixels is not None and torch.allclose(inputs["pixel_values"], pixels, atol=1e-5)
    assert inputs["input_ids"].tolist() == ids.tolist()
    answered = encoder.tokenizer.decode(ids[0][trained[0]])
    assert answered == item.answer[0][0] + "</s>"
    assert (ids == encoder.tokenizer.convert_tokens_to_ids("<image>")).sum() == architecture.IMAGE_TOKENS == 16
