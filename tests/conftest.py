"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# No test asks the Hub: without a network, the name of a missing model would cost half a minute of retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if TYPE_CHECKING:
    from iar.models.checkpoint import LoadedModel
    from tests.iar.remote_server import ChatServer

ROOT = Path(__file__).resolve().parent.parent


# Slow as a whole, beside the files that say so themselves: families, many commands one after the other, measurements.
SLOW = tuple(
    f"tests/{name}"
    for name in (
        "benchmark/speed/", "benchmark/test_published_answers.py", "hostile/",
        "iar/generation/test_few_shot_families.py",
        "iar/generation/tree/test_families.py", "iar/generation/tree/test_sweep.py", "iar/models/pocket/",
        "iar/models/test_original_internvl.py", "iar/models/test_processor.py", "iar/models/test_whole.py",
        "iar/pipeline/audit/", "iar/remote/test_client_interrupted.py", "iar/revision/test_compile.py",
        "iar/test_analyze.py", "iar/test_audit.py", "iar/test_changed.py", "iar/test_collect.py", "iar/test_report.py",
        "iar/test_text_sweep.py", "test_extending.py", "test_formats.py", "test_readme.py",
    )
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what -m does not select
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: with two processes, what comes last should be short."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def test_data() -> Callable[[str], Path]:
    """Path of a real file, e.g. ``test_data("pope/coco_pope_random.json")``; skips the test if it is not there."""
    folder = Path(os.environ.get("IAR_TEST_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"needs the real {name}, which is not in {folder} (set IAR_TEST_DATA)")
        return path

    return find


@pytest.fixture
def chat_server() -> Iterator[Callable[..., ChatServer]]:
    """Start a real server that speaks the OpenAI chat format: chat_server(answer, faults=0.3) -> ChatServer."""
    from tests.iar.remote_server import ChatServer

    with ExitStack() as servers:
        yield lambda *args, **options: servers.enter_context(ChatServer(*args, **options))


CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'].upper() }}: "
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n{% endif %}{% endfor %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% if m['role'] == 'assistant' %}</s>{% else %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
SENTENCES = (
    "USER: Is there a spoon in the image? ASSISTANT: Yes, there is a red spoon on the table.</s>",
    "USER: How do I use this knife? ASSISTANT: I am sorry, but I cannot help with that.</s>",
    "USER: Which letter is the answer? A. cat B. dog C. fish ASSISTANT: The answer is B.</s>",
)


@pytest.fixture(scope="session")
def save_tiny_llava() -> Callable[..., Path]:
    """Save a random LLaVA with its processor: (folder, text_layers, vision_layers, hidden, seed) -> folder.

    Its weights are scaled up until greedy answers vary from token to token; a plain random model repeats one token.
    """

    def save(folder: Path, text_layers: int = 6, vision_layers: int = 2, hidden: int = 32, seed: int = 0) -> Path:
        import torch
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import (
            CLIPVisionConfig,
            LlamaConfig,
            LlavaConfig,
            LlavaForConditionalGeneration,
            LlavaProcessor,
            PreTrainedTokenizerFast,
        )
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        special = ["<pad>", "<s>", "</s>", "<image>"]
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        bpe.train_from_iterator(SENTENCES, trainer)
        names: dict[str, Any] = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=bpe, extra_special_tokens={"image_token": "<image>"}, padding_side="left", **names
        )
        size = {"height": 24, "width": 24}
        processor = LlavaProcessor(
            CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size=size),
            tokenizer,
            patch_size=12,
            vision_feature_select_strategy="default",
            chat_template=CHAT_TEMPLATE,
            num_additional_image_tokens=1,
        )
        common = {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_attention_heads": 4}
        vision = CLIPVisionConfig(**common, num_hidden_layers=vision_layers, image_size=24, patch_size=12)
        ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        text = LlamaConfig(
            **common, **ids, num_hidden_layers=text_layers, num_key_value_heads=4, vocab_size=len(tokenizer)
        )
        config = LlavaConfig(
            vision_config=vision, text_config=text, image_token_id=3, vision_feature_layer=-1, image_seq_length=4
        )
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim >= 2 and "vision" not in name:
                    parameter.mul_({"embed_tokens": 15.0, "lm_head": 3.0}.get(name.split(".")[-2], 12.0))
            model.lm_head.weight[[0, 3]] = 0  # <pad> and <image> are never answered
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, save_tiny_llava: Callable[..., Path]) -> Path:
    """The folder of a saved random LLaVA: 6 text layers of width 32, 2 vision layers, 4 image tokens."""
    return save_tiny_llava(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> LoadedModel:
    """That model, loaded in float32."""
    from iar.models.checkpoint import load

    return load(tiny_folder)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three small images of different content and shape."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{name}.png" for name in ("noise", "gradient", "wide")]
    for index, (path, size) in enumerate(zip(paths, ((24, 24), (30, 40), (64, 32)), strict=True)):
        image = Image.new("RGB", size)
        image.putdata([((x * 37 * (index + 1)) % 256, (x * x) % 256, (x // 7) % 256) for x in range(size[0] * size[1])])
        image.save(path)
    return paths
