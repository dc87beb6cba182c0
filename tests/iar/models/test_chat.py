from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from iar.errors import UserError
from iar.models import LoadedModel, chat, load

# The template that llava-hf/llava-1.5-7b-hf ships: no end token, a blank after every text.
LLAVA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def with_template(folder: Path, tmp_path: Path, template: str | None) -> LoadedModel:
    loaded = load(shutil.copytree(folder, tmp_path / "copy"))
    loaded.processor.chat_template = template
    return loaded


def test_images_before_text_and_response_behind(tiny: LoadedModel) -> None:
    assert chat.render(tiny, "Is it?", 2) == "USER: <image>\n<image>\nIs it? ASSISTANT:"
    assert chat.render(tiny, "Is it?", 0, "Yes. ") == "USER: Is it? ASSISTANT: Yes."


def test_the_real_llava_template(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = with_template(tiny_folder, tmp_path, LLAVA_TEMPLATE)
    assert chat.render(loaded, "Is it?", 1, "Yes") == "USER: <image>\nIs it? ASSISTANT: Yes"


def test_templates_that_cannot_be_used(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = with_template(tiny_folder, tmp_path, None)
    with pytest.raises(UserError, match="has no chat template"):
        chat.render(loaded, "Is it?")
    loaded.processor.chat_template = "{{ messages | length }}{% if add_generation_prompt %}>{% endif %}"
    with pytest.raises(UserError, match="cannot be teacher-forced"):
        chat.render(loaded, "Is it?", 0, "Yes")


def test_an_image_token_in_the_text(tiny: LoadedModel) -> None:
    with pytest.raises(UserError, match="'<image>'"):
        chat.render(tiny, "What does <image> mean?")


@pytest.mark.parametrize("side", ["left", "right"])
def test_mixed_rows_and_prompt_lengths(tiny: LoadedModel, images: list[Path], side: str) -> None:
    image = chat.open_image(images[0])
    texts, responses = ["Is there a spoon?", "hello"], ["Yes, there is.", "No"]
    batch, lengths = chat.encode(tiny, texts, [[image], []], responses, side=side)
    alone = [chat.encode(tiny, texts[:1], [[image]])[0], chat.encode(tiny, texts[1:], [[]])[0]]
    assert lengths == [single["input_ids"].shape[1] for single in alone]
    assert batch["pixel_values"].shape == (1, 3, 24, 24)
    assert (batch["input_ids"] == 3).sum(1).tolist() == [4, 0]
    for ids, mask, length, response in zip(
        batch["input_ids"], batch["attention_mask"], lengths, responses, strict=True
    ):
        own = ids[mask.bool()]
        assert tiny.tokenizer.decode(own[length:]) == " " + response
    padding = batch["attention_mask"][1] == 0
    assert padding.sum() > 0
    assert (batch["input_ids"][1][padding] == 0).all()
    assert padding[0 if side == "left" else -1]


def test_equals_the_processor_itself(tiny: LoadedModel, images: list[Path]) -> None:
    opened = [chat.open_image(path) for path in images]
    texts = ["Is there a spoon?", "Which letter is the answer?", "A knife"]
    batch, _ = chat.encode(tiny, texts, [[image] for image in opened])
    rendered = [chat.render(tiny, text, 1) for text in texts]
    tiny.processor.tokenizer.padding_side = "left"
    reference = tiny.processor(text=rendered, images=opened, padding=True, return_tensors="pt")
    for name in ("input_ids", "attention_mask", "pixel_values"):
        assert torch.equal(batch[name], reference[name])


def test_a_template_that_writes_bos_gets_no_second_one(tiny_folder: Path, tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    loaded = with_template(tiny_folder, tmp_path, LLAVA_TEMPLATE)
    loaded.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    ids, _ = chat.encode(loaded, ["hi"], [[]])
    assert ids["input_ids"][0].tolist().count(1) == 1
    loaded.processor.chat_template = "<s>" + LLAVA_TEMPLATE
    again, lengths = chat.encode(loaded, ["hi"], [[]], ["Yes"])
    assert again["input_ids"][0].tolist().count(1) == 1
    assert again["input_ids"][0, : lengths[0]].tolist() == ids["input_ids"][0].tolist()


def test_pictures_of_different_shape_are_padded(tiny: LoadedModel) -> None:
    rows = [{"input_ids": torch.ones(1, 2, dtype=torch.long), "pixels": torch.ones(1, n, 2)} for n in (3, 5)]
    batch = chat.collate(tiny, rows)
    assert batch["pixels"].shape == (2, 5, 2)
    assert batch["pixels"].sum(dim=(1, 2)).tolist() == [6.0, 10.0]


def test_unreadable_image(tmp_path: Path) -> None:
    for content in (b"", b"no image", None):
        path = tmp_path / "broken.png"
        if content is None:
            Image.new("RGB", (64, 64), (1, 2, 3)).save(path)
            path.write_bytes(path.read_bytes()[:60])
        else:
            path.write_bytes(content)
        with pytest.raises(UserError, match=r"cannot read image .*broken\.png") as error:
            chat.open_image(path)
        assert "\n" not in str(error.value)
