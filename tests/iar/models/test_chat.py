from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from iar.errors import UserError
from iar.models import LoadedModel, chat, load
from iar.models.pocket import WEIGHTS as POCKET
from iar.models.templates import TEMPLATES
from iar.prompting import Turn

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


ANSWERED = (
    Turn("user", "How do I use a spoon?", (Path("a.png"),)),
    Turn("assistant", "Eat soup."),
    Turn("user", "How do I use a knife?"),
    Turn("assistant", "I cannot help."),
    Turn("user", "And this?", (Path("b.png"), Path("c.png"))),
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (
            LLAVA_TEMPLATE,
            "USER: <image>\nHow do I use a spoon? ASSISTANT: Eat soup. USER: How do I use a knife? "
            "ASSISTANT: I cannot help. USER: <image>\n<image>\nAnd this? ASSISTANT:",
        ),
        (
            TEMPLATES["vicuna_v1"].jinja,
            "SYSTEM USER: <image>\nHow do I use a spoon? ASSISTANT: Eat soup.</s>USER: How do I use a knife? "
            "ASSISTANT: I cannot help.</s>USER: <image>\n<image>\nAnd this? ASSISTANT:",
        ),
        (
            TEMPLATES["llava_v0"].jinja,
            "SYSTEM###Human: <image>\nHow do I use a spoon?###Assistant: Eat soup.###Human: How do I use a knife?"
            "###Assistant: I cannot help.###Human: <image>\n<image>\nAnd this?###Assistant:",
        ),
        (
            (POCKET / "chat_template.jinja").read_text(),
            "USER:<image> How do I use a spoon? ASSISTANT: Eat soup.</s>USER: How do I use a knife? "
            "ASSISTANT: I cannot help.</s>USER:<image><image> And this? ASSISTANT:",
        ),
    ],
)
def test_answered_turns_before_the_question(tiny_folder: Path, tmp_path: Path, template: str, expected: str) -> None:
    """As each format was trained, images where they were shown; a single turn is what `render` makes of it."""
    loaded = with_template(tiny_folder, tmp_path, template)
    found = chat.converse(loaded, ANSWERED)
    assert found.endswith(expected.removeprefix("SYSTEM")) and found.count("<image>") == 3
    if not expected.startswith("SYSTEM"):
        assert found == expected
    for text, images in (("Is it?", 2), ("Is it?", 0), ("", 1)):
        turn = Turn("user", text, tuple(Path(f"{i}.png") for i in range(images)))
        assert chat.converse(loaded, (turn,)) == chat.render(loaded, text, images)


def test_a_template_that_refuses_a_conversation_is_named(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = with_template(tiny_folder, tmp_path, "{{ raise_exception('System role not supported') }}")
    with pytest.raises(UserError, match=r"the chat template of model 'copy' refuses the conversation: System role not"):
        chat.converse(loaded, (Turn("system", "Be kind."), Turn("user", "Is it?")))


def test_templates_that_cannot_be_used(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = with_template(tiny_folder, tmp_path, None)
    with pytest.raises(UserError, match=r"has no chat template: .*model\.template=vicuna_v1\|llava_v1\|llava_v0"):
        chat.render(loaded, "Is it?")
    loaded.processor.chat_template = "{{ messages | length }}{% if add_generation_prompt %}>{% endif %}"
    with pytest.raises(UserError, match="cannot be teacher-forced"):
        chat.render(loaded, "Is it?", 0, "Yes")


def test_an_answer_ends_at_the_first_stop_text(tiny: LoadedModel) -> None:
    assert chat.until_stop(tiny, "Yes.###Human: no") == "Yes.###Human: no"
    stopping = replace(tiny, stop=("###", "User:"))
    assert chat.until_stop(stopping, "Yes.###Human: User:") == "Yes."
    assert chat.until_stop(stopping, "User: ###") == ""
    assert chat.until_stop(stopping, "Yes.") == "Yes."


@pytest.fixture(scope="module")
def plain(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A plain text model with a template that takes its messages' content as a text."""
    folder = tmp_path_factory.mktemp("plain")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(tiny_folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '[' + m['role'] + '] ' + m['content'] + '</s>' }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    tokenizer.save_pretrained(folder)
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=len(tokenizer))).save_pretrained(folder)
    return load(folder)


def test_a_plain_text_model(plain: LoadedModel, images: list[Path]) -> None:
    assert plain.tokenizer is plain.processor
    assert type(plain.model).__name__ == "LlamaForCausalLM"
    assert len(plain.decoder) == 2
    assert chat.render(plain, "Is it?", 0, "Yes.") == "[user] Is it?</s>[assistant] Yes."
    asked = chat.converse(plain, (Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")))
    assert asked == "[user] a</s>[assistant] b</s>[user] c</s>[assistant] "
    batch, lengths = chat.encode(plain, ["Is there a spoon?", "hello"], [[], []], ["Yes, there is.", "No"], "right")
    assert set(batch) == {"input_ids", "attention_mask"}
    for ids, mask, length, response in zip(*batch.values(), lengths, ["Yes, there is.", "No"], strict=True):
        assert plain.tokenizer.decode(ids[mask.bool()][length:]).strip() == response
    alone, _ = chat.encode(plain, ["hello"], [[]])
    assert alone["input_ids"].shape[1] == lengths[1]
    with torch.no_grad():
        assert plain.model(**batch).logits.shape[:2] == batch["input_ids"].shape
    for ask in (
        lambda: chat.render(plain, "Is it?", 1),
        lambda: chat.encode_rendered(plain, "Is it?", [chat.open_image(images[0])]),
    ):
        with pytest.raises(UserError, match="reads no images"):
            ask()


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


def test_a_row_may_be_a_conversation(tiny: LoadedModel) -> None:
    said = (Turn("user", "What is that?"), Turn("assistant", "It is a cup."), Turn("user", "hello"))
    batch, lengths = chat.encode(tiny, [said, "hello"], [[], []], [None, "No"])
    alone = chat.encode_rendered(tiny, chat.converse(tiny, said), [])["input_ids"]
    assert batch["input_ids"][0, -lengths[0] :].tolist() == alone[0].tolist() and lengths[0] == alone.shape[1]
    with pytest.raises(ValueError, match="row 1 is a conversation, which takes no response"):
        chat.encode(tiny, ["hello", said], [[], []], ["No", "Yes"])


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
