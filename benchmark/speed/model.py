"""A random LLaVA of any size with a processor of its own, images, questions and vectors: nothing is downloaded.

Its weights have a standard deviation of 0.9 / √(inputs); those of queries, keys and embeddings are larger, so that
attention picks words out and greedy answers vary from question to question and from vector to vector. One word of the
text is one token, and the end of an answer is never chosen, so that every answer has as many tokens as were asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.sample import Sample
from benchmark.speed.sizes import Size
from iar.models.checkpoint import LoadedModel
from iar.models.decoder import decoder_of
from iar.pairs.example import Example
from iar.revision.configuration import Configuration
from iar.revision.methods import Positions
from iar.vectors.vector_set import VectorSet

SPECIAL = ("<pad>", "<s>", "</s>", "<image>", "<unk>")
TEMPLATE = (
    "{% for m in messages %}{{ m['role'].upper() }}: "
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n{% endif %}{% endfor %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
STRENGTHS = (1.0, 1.5, 2.0, 2.5)
SOURCE = "multi_response-mms-mean"  # the name that `Configuration.source` gives its vectors


def build(size: Size, seed: int = 0) -> LoadedModel:
    """The model, in eval mode."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    vision = CLIPVisionConfig(
        hidden_size=size.vision,
        intermediate_size=4 * size.vision,
        num_hidden_layers=size.vision_layers,
        num_attention_heads=max(4, size.vision // 64),
        image_size=size.side,
        patch_size=14,
    )
    text = LlamaConfig(
        vocab_size=size.words,
        hidden_size=size.hidden,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=4096,
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},  # type: ignore[arg-type]
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=3,
        vision_feature_layer=-1,
        image_seq_length=size.image_tokens,
    )
    dtype = getattr(torch, size.dtype)
    torch.manual_seed(seed)
    with torch.device(size.device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            model = LlavaForConditionalGeneration(config)
        finally:
            torch.set_default_dtype(before)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "vision" not in name:
                parameter.normal_(0, _scale(name.split(".")[-2]) / parameter.shape[1] ** 0.5)
        model.lm_head.weight[: len(SPECIAL)] = 0
    model.eval().requires_grad_(False)
    return LoadedModel(
        model=model,
        processor=_processor(size),
        id="random-llava",
        revision="local",
        dtype=size.dtype,
        decoder=decoder_of(model),
        choices={"seed": str(seed), "words": str(size.words)},
    )


def _scale(module: str) -> float:
    return {"q_proj": 2.0, "k_proj": 2.0, "embed_tokens": 20.0}.get(module, 0.9)


def _processor(size: Size) -> object:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlavaProcessor, PreTrainedTokenizerFast
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    words = [*SPECIAL, "USER:", "ASSISTANT:"]
    words += [f"w{number}" for number in range(size.words - len(words))]
    plain = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )
    return LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": size.side}, crop_size={"height": size.side, "width": size.side}),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    )


def vectors(loaded: LoadedModel, push: float = 0.5, seed: int = 0) -> VectorSet:
    """A random direction a layer, ``push`` times as long as the hidden states there."""
    ids = torch.arange(7, 39)[None].to(loaded.device)
    norms = states(loaded, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).float().norm(dim=-1).median(1)
    norms = norms.values.cpu()
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(len(norms), loaded.decoder.hidden_size, generator=generator)
    found = random / random.norm(dim=-1, keepdim=True) * norms[:, None] * push
    ones = torch.ones(len(norms))
    return VectorSet(found, mean_norm=norms, sigma=ones, separation=ones, accuracy=ones)


def states(loaded: LoadedModel, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """(layers, tokens, hidden): what the blocks put out for one row, read by hooks."""
    found: list[torch.Tensor] = []

    def keep(module: Any, args: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    handles = [block.register_forward_hook(keep) for block in loaded.decoder.layers]
    try:
        with torch.no_grad():
            loaded.model(**features, use_cache=False, logits_to_keep=1)
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(found)


def configurations(size: Size, positions: Positions, strengths: Iterable[float] = STRENGTHS) -> list[Configuration]:
    """The baseline, then every layer of the grid at every strength."""
    chosen = tuple(strengths)
    steered = [Configuration("iar", (layer,), s, positions=positions) for layer in size.grid for s in chosen]
    return [Configuration("none", positions=positions), *steered]


def image(size: Size, folder: Path, index: int) -> Path:
    """The file of an image of noise."""
    path = folder / f"noise-{size.side}-{index}.png"
    if not path.exists():
        pixels = np.random.default_rng(index).integers(0, 256, (size.side, size.side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return path


def text(size: Size, number: int, words: int) -> str:
    """So many random words."""
    drawn = np.random.default_rng([number, words]).integers(0, size.words - len(SPECIAL) - 2, words)
    return " ".join(f"w{word}" for word in drawn)


def samples(size: Size, folder: Path, images: int, questions: int, words: tuple[int, int]) -> list[Sample]:
    """Questions of different length on images of noise; without images where ``images`` is 0.

    Args:
        questions: An image, or in all where there is none.
        words: Length of the shortest and the longest question.
    """
    found = []
    for index in range(max(1, images)):
        shown = (image(size, folder, index),) if images else ()
        for number in range(questions):
            length = words[0] + (7 * (index * questions + number)) % (words[1] - words[0] + 1)
            asked = text(size, 1 + index * questions + number, length)
            place = f"{index}/{number}"
            found.append(Sample(place, "speed", "speed", asked, shown, "yes", str(index)))
    return found


def examples(size: Size, folder: Path, pairs: int, prompt: int, response: int, images: bool) -> list[Example]:
    """Pairs of a prompt with two responses, on an image each or on none; lengths in words."""
    found = []
    for pair in range(pairs):
        shown = image(size, folder, pair % 8) if images else None
        asked = text(size, 1 + pair, prompt)
        for safe in (True, False):
            said = text(size, 10_000 + 2 * pair + safe, response)
            found.append(Example(str(pair), safe, asked, shown, said))
    return found
