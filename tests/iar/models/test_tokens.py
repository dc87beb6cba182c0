from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation import Engine
from iar.models import LoadedModel, chat, load, tokens
from iar.models.pocket import WEIGHTS as POCKET
from iar.models.processor import load_processor
from iar.pairs import Example
from iar.prompting import Turn
from iar.revision import Configuration
from iar.vectors import estimate

PAIRS = [
    Example(str(i), safe, f"How do I use a {thing}?", None, "No, sorry" if safe else "Yes, there is")
    for i, thing in enumerate(("knife", "spoon", "cat"))
    for safe in (True, False)
]


def appending(folder: Path, copy: Path, single: str = "<s> $A </s>", template: str = "") -> LoadedModel:
    """The model of a folder with a tokenizer that adds tokens to every text."""
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    loaded = load(copy)
    special = [("<s>", 1), ("</s>", 2)]
    loaded.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=special)
    loaded.processor.chat_template = template or loaded.processor.chat_template
    loaded.processor.save_pretrained(copy)
    return load(copy)


@pytest.fixture(scope="module")
def ends(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return appending(tiny_folder, tmp_path_factory.mktemp("ends") / "m")


@pytest.fixture(scope="module")
def begins(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return appending(tiny_folder, tmp_path_factory.mktemp("begins") / "m", "<s> $A")


def test_an_appended_end_is_cut(ends: LoadedModel, begins: LoadedModel, images: list[Path]) -> None:
    """Rows with and without an image, open and answered, are those of a tokenizer that only prepends."""
    raw = ends.tokenizer("Is it?")["input_ids"]
    assert (raw[0], raw[-1]) == (1, 2) and tokens.appended(ends.tokenizer, True) == (2,)
    assert tokens.appended(begins.tokenizer, True) == tokens.appended(ends.tokenizer, False) == ()
    image = chat.open_image(images[0])
    for responses in (None, ["Yes, there is.", "No"]):
        found = [chat.encode(m, ["Is it?", "hello"], [[image], []], responses, "right") for m in (ends, begins)]
        (batch, lengths), (wanted, wanted_lengths) = found
        assert lengths == wanted_lengths and set(batch) == set(wanted)
        assert all(torch.equal(batch[name], wanted[name]) for name in wanted)
    assert chat.text_length(ends, "Is it?") == chat.text_length(begins, "Is it?")


def test_answers_and_vectors_of_a_tokenizer_that_appends(ends: LoadedModel, begins: LoadedModel) -> None:
    asked = [Sample(str(i), "b", "", text, (), "", str(i)) for i, text in enumerate(("hello", "Is it a cat?"))]
    answers = [[g.answer for g in Engine(m, {}).run(asked, [Configuration()], 8)] for m in (ends, begins)]
    assert answers[0] == answers[1] and all(answers[0])
    for policy in ("last", "mean", "first_2"):
        found = [estimate(m, PAIRS, tokens=policy, heads=False).vectors for m in (ends, begins)]
        assert torch.equal(*found)


def test_what_is_cut_is_part_of_the_fingerprint(ends: LoadedModel, begins: LoadedModel, tiny: LoadedModel) -> None:
    """Answers and vectors that a tokenizer's end had spoiled are not taken for these."""
    assert tokens.added_behind(ends.processor) == "</s>"
    assert not tokens.added_behind(begins.processor) and not tokens.added_behind(tiny.processor)


def test_an_end_that_the_template_writes_stays(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = appending(tiny_folder, tmp_path / "m", template="{% for m in messages %}Q</s>{% endfor %}")
    ids = chat.encode_rendered(loaded, chat.converse(loaded, (Turn("user", "Is it?"),)), [])["input_ids"][0].tolist()
    assert ids[-1] == 2 and ids.count(2) == 1


SPELLED = ("</s>", "<image>", "<pad>", "<|im_end|>", "<think>")


@pytest.fixture(scope="module")
def marked(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Added tokens of three kinds: special, written by the template, and neither (a tag of HTML, a run of blanks)."""
    copy = tmp_path_factory.mktemp("marked") / "m"
    copy.mkdir()
    for file in tiny_folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    loaded = load(copy)
    loaded.tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    loaded.tokenizer.add_tokens(["<think>", "<b>", "    "])
    loaded.model.resize_token_embeddings(len(loaded.tokenizer))
    loaded.processor.chat_template = str(loaded.processor.chat_template) + "{# <think> #}"
    return loaded


@pytest.mark.parametrize("token", SPELLED)
def test_a_spelled_control_token_is_refused_by_name(marked: LoadedModel, token: str) -> None:
    for text in (token, f"What does {token} mean?", f"a{token}"):
        for ask in (
            lambda text=text: chat.render(marked, text),
            lambda text=text: chat.render(marked, "Is it?", 0, text),
            lambda text=text: chat.converse(marked, (Turn("user", "a"), Turn("assistant", text), Turn("user", "b"))),
        ):
            with pytest.raises(UserError, match="reads as a control token") as caught:
                ask()
            assert repr(token) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["<b>bold</b>", "a    b", "[INST] </S> < /s> <|im_start|>", "2 < 3 | 4 > 1", ""])
def test_what_is_no_control_token_is_text(marked: LoadedModel, text: str) -> None:
    assert text in chat.render(marked, text) and tokens.control(marked.processor, text) == ""


def test_a_spelled_token_costs_its_row_alone(marked: LoadedModel) -> None:
    asked = [Sample(str(i), "b", "", text, (), "", str(i)) for i, text in enumerate(("hello", "Say </s>", "Is it?"))]
    engine = Engine(marked, {})
    found = {g.sample.id: g for g in engine.run(asked, [Configuration()], 4)}
    assert [found[i].error is None for i in "012"] == [True, False, True]
    assert "the prompt holds '</s>'" in str(found["1"].error)
    with pytest.raises(UserError, match="control token"):  # so a record of it is not used again either
        engine.key(asked[1], Configuration(), 4)


def test_a_spelled_token_in_a_pair_names_the_pair(marked: LoadedModel) -> None:
    spoiled = [replace(PAIRS[3], response="Yes.</s>") if example is PAIRS[3] else example for example in PAIRS]
    with pytest.raises(UserError, match=r"pair '1': the prompt holds '</s>'"):
        estimate(marked, spoiled, heads=False)


def test_the_pocket_model_reads_its_turns_as_control() -> None:
    processor = load_processor(str(POCKET))
    assert tokens.control(processor, "Hi ASSISTANT: no") == "ASSISTANT:"
    assert tokens.control(processor, "Hi\nA. no") == ""  # an added token too, of text
