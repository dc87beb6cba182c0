"""Read checkpoints in LLaVA's original layout (``LlavaLlamaForCausalLM``) into transformers' LLaVA.

VLGuard, SPA-VL and LLaVA-1.5 itself are published so: a Llama whose config also names a vision tower. What differs:

    model.layers.*, model.embed_tokens, model.norm, lm_head      the language model
    model.mm_projector.{0,2}                                     linear_1, linear_2 of the projector
    model.vision_tower.vision_tower.*                            the CLIP tower; often absent, then loaded by name

* **Vocabulary.** The original marks an image by the index -200 and has no token for it. As in transformers' own
  conversions, ``<image>`` and ``<pad>`` are appended (32000 and 32001) and the embeddings grow to a multiple of 64. The
  new rows are copies of ``<unk>``'s: logits of ordinary tokens do not change, and a new token never beats ``<unk>``.
* **Tokens.** The original encodes the text before and behind ``<image>`` apart, so the part behind begins with the
  word-start piece. The tokenizer here does the same.
* **Images** are resized and centre-cropped, as by the evaluation code of VSCBench and VLGuard. LLaVA's own evaluation
  pads them to a square first.
* **LoRA.** A folder with ``adapter_config.json`` is merged into its base (`iar.models.lora`), after its
  ``non_lora_trainables`` replaced the base's projector.

Every weight of the file must find its place and every place its weight; anything else is an error that names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AddedToken,
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from iar.errors import UserError
from iar.models.assembly import TEXT_FIELDS, build, need_sentencepiece
from iar.models.lora import merge_lora
from iar.models.source import local_copy
from iar.models.templates import IMAGE_TOKEN
from iar.models.weight_files import Progress, read_weights
from iar.models.whole import listed

CLIP = "openai/clip-vit-large-patch14-336"  # the tower of every LLaVA-1.5; its settings are known without a download
_CLIP_SIZES: dict[str, Any] = dict(
    **dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16),
    **dict(projection_dim=768, image_size=336, patch_size=14),
)
_TOWER = "model.vision_tower.vision_tower."
# Original prefix -> prefix in the files of transformers' LLaVA checkpoints, which every version of it reads.
_PREFIXES = {
    _TOWER: "vision_tower.",
    "model.mm_projector.0.": "multi_modal_projector.linear_1.",
    "model.mm_projector.2.": "multi_modal_projector.linear_2.",
    "model.embed_tokens.": "language_model.model.embed_tokens.",
    "model.layers.": "language_model.model.layers.",
    "model.norm.": "language_model.model.norm.",
    "lm_head.": "language_model.lm_head.",
}
_EMBEDDING = "language_model.model.embed_tokens.weight"
_BUFFERS = ("rotary_emb.inv_freq", "embeddings.position_ids")  # computed, and written only by old versions


def is_original(config: Mapping[str, Any]) -> bool:
    """Whether a ``config.json`` is of the original layout: it names its vision tower instead of describing it."""
    return "mm_vision_tower" in config and "vision_config" not in config


def load_original(
    folder: Path,
    *,
    base: str | Path | None = None,
    vision_tower: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor, dict[str, Path]]:
    """The checkpoint as transformers' model and processor, in memory.

    Args:
        base: Folder or hub id of the model that a LoRA checkpoint adapts; None takes the one that it names.
        vision_tower: Folder or hub id of the CLIP tower; None takes the one that the config names.
        options: For ``from_pretrained``, such as ``device_map``; without ``dtype`` it is the checkpoint's own.

    Returns:
        Model, processor (without a chat template: none ships), and the folders beside ``folder`` that were read.

    Raises:
        UserError: A variant that transformers' LLaVA cannot express, files missing or damaged, weights left over.
        OSError: A hub id that is neither cached nor to be reached.
    """
    original = _read_config(folder)
    parts: dict[str, Path] = {}
    adapted = (folder / "adapter_config.json").is_file()
    if adapted:
        parts["base"] = _base(folder, base)
    weights = read_weights(parts.get("base", folder), progress=progress)
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith(_BUFFERS)}
    inside = any(name.startswith(_TOWER) for name in weights)
    vision, images, tower = _tower(folder, original, vision_tower, inside)
    if tower is not None:
        parts["vision_tower"] = tower
        if not inside:
            weights |= _tower_weights(tower)
    if adapted:
        weights = _adapted(folder, weights)
    weights = _renamed(weights, folder)
    tokenizer = _tokenizer(folder, parts.get("base", folder))
    config = _config(original, vision, tokenizer, _grow_vocabulary(weights, tokenizer))
    options.setdefault("dtype", weights[_EMBEDDING].dtype)
    model = build(LlavaForConditionalGeneration, config, weights, folder, options, "LLaVA")
    text: Any = config.text_config
    model.generation_config = GenerationConfig(
        bos_token_id=text.bos_token_id, eos_token_id=text.eos_token_id, pad_token_id=text.pad_token_id
    )
    processor = LlavaProcessor(
        images,
        tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=1,
    )
    return model, processor, parts


def _read_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    kind = (config.get("architectures") or ["LlavaLlamaForCausalLM"])[0]
    unsupported = {
        f"architecture {kind}": kind != "LlavaLlamaForCausalLM",
        f"mm_projector_type {config.get('mm_projector_type')}": config.get("mm_projector_type") != "mlp2x_gelu",
        "mm_use_im_start_end": config.get("mm_use_im_start_end", False),
        "images in tiles (LLaVA-1.6)": "anyres" in str(config.get("image_aspect_ratio")),
    }
    for what, found in unsupported.items():
        if found:
            raise UserError(
                f"{folder} is in LLaVA's original layout with {what}, which is not read: "
                "use a checkpoint converted for transformers, such as those of llava-hf"
            )
    return config


def _base(folder: Path, base: str | Path | None) -> Path:
    named = json.loads((folder / "adapter_config.json").read_text()).get("base_model_name_or_path")
    if base is None and not named:
        raise UserError(f"{folder} is a LoRA adapter that does not name its base model: say model.base=DIR")
    return _part(base or named, "model.base", f"the base model of {folder}")


def _part(path: str | Path, setting: str, what: str) -> Path:
    try:
        return local_copy(path, setting=setting)
    except (UserError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{what} is {str(path)!r}, which cannot be read: {reason} (say {setting}=DIR)") from error


def _tower(
    folder: Path, original: Mapping[str, Any], setting: str | Path | None, inside: bool
) -> tuple[CLIPVisionConfig, CLIPImageProcessorPil, Path | None]:
    """Settings, image processor and folder of the tower; no folder when everything is known without it."""
    named = str(original["mm_vision_tower"])
    # Published configs hold the path of the tower on the author's own disk, too.
    known = named.endswith(CLIP.partition("/")[2])
    if setting is None and known and inside:
        size = _CLIP_SIZES["image_size"]
        images = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
        return CLIPVisionConfig(**_CLIP_SIZES), images, None
    tower = _part(setting or (CLIP if known else named), "model.vision_tower", f"the vision tower of {folder}")
    kind = json.loads((tower / "config.json").read_text()).get("model_type")
    if kind not in ("clip", "clip_vision_model"):
        raise UserError(f"the vision tower {tower} is a {kind}, not a CLIP model: model.vision_tower=DIR must name one")
    return CLIPVisionConfig.from_pretrained(tower), CLIPImageProcessorPil.from_pretrained(tower), tower


def _tower_weights(tower: Path) -> dict[str, Tensor]:
    """The tower's under their original names; a whole CLIP model also holds a text model, which is left."""
    weights = read_weights(tower)
    if any(name.startswith("vision_model.") for name in weights):
        weights = {name: tensor for name, tensor in weights.items() if name.startswith("vision_model.")}
    return {_TOWER + name: tensor for name, tensor in weights.items() if not name.endswith(_BUFFERS)}


def _adapted(folder: Path, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The base's weights with what the adapter trained besides LoRA, and with the LoRA merged."""
    for name, tensor in read_weights(folder, "non_lora_trainables").items():
        plain = name.removeprefix("base_model.")
        plain = plain.removeprefix("model.") if plain.startswith(("model.model.", "model.lm_head.")) else plain
        weights[plain] = tensor
    config = json.loads((folder / "adapter_config.json").read_text())
    return merge_lora(weights, read_weights(folder, "adapter_model"), config, str(folder))


def _renamed(weights: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    renamed, left = {}, []
    for name, tensor in weights.items():
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            left.append(name)
        else:
            renamed[_PREFIXES[prefix] + name.removeprefix(prefix)] = tensor
    if left:
        raise UserError(f"{folder} has weights that LLaVA has no place for: {listed(left)}")
    return renamed


def _tokenizer(folder: Path, base: Path) -> PreTrainedTokenizerFast:
    """The checkpoint's, or its base's, with the tokens ``<image>`` and ``<pad>`` behind all others."""
    places = [place for place in (folder, base) if any(place.glob("tokenizer.*"))]
    if not places:
        raise UserError(f"no tokenizer in {folder}: it needs tokenizer.model or tokenizer.json beside its weights")
    place = places[0]
    if not (place / "tokenizer.json").is_file():
        need_sentencepiece(place / "tokenizer.model")
    # `legacy` writes the word-start piece behind <image>, as the original does, which encodes that part alone.
    read = AutoTokenizer.from_pretrained(place, config=LlamaConfig(), legacy=True)
    read.add_tokens(AddedToken(IMAGE_TOKEN, special=True, normalized=False), special_tokens=True)
    if read.pad_token is None or read.pad_token == read.unk_token:
        read.add_special_tokens({"pad_token": "<pad>"})
    special = {name: getattr(read, name) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    # LlamaTokenizer builds itself anew when it is loaded and would forget `legacy`; this class keeps what it is given.
    return PreTrainedTokenizerFast(
        tokenizer_object=read.backend_tokenizer,
        **{name: token for name, token in special.items() if token is not None},
        extra_special_tokens={"image_token": IMAGE_TOKEN},
        padding_side="left",
        model_max_length=read.model_max_length,
        clean_up_tokenization_spaces=False,
    )


def _grow_vocabulary(weights: dict[str, Tensor], tokenizer: PreTrainedTokenizerFast) -> int:
    """Room for the tokenizer's new tokens in both embeddings, in place; the number of rows they have then."""
    if _EMBEDDING not in weights:
        raise UserError(f"the checkpoint lacks weights: {_EMBEDDING}")
    size = -(-max(len(weights[_EMBEDDING]), len(tokenizer)) // 64) * 64
    unknown = tokenizer.unk_token_id or 0
    for name in {_EMBEDDING, "language_model.lm_head.weight"} & set(weights):
        rows = weights[name]
        weights[name] = torch.cat([rows, rows[unknown].expand(size - len(rows), -1)])
    return size


def _config(
    original: Mapping[str, Any], vision: Any, tokenizer: PreTrainedTokenizerFast, vocabulary: int
) -> LlavaConfig:
    text = {name: original[name] for name in TEXT_FIELDS if original.get(name) is not None}
    image: Any = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    whole = original.get("mm_vision_select_feature", "patch") == "cls_patch"
    return LlavaConfig(
        text_config=LlamaConfig(**text, vocab_size=vocabulary, pad_token_id=tokenizer.pad_token_id),
        vision_config=vision,
        image_token_index=image,
        vision_feature_layer=original.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy="full" if whole else "default",
        image_seq_length=(vision.image_size // vision.patch_size) ** 2 + whole,
        architectures=["LlavaForConditionalGeneration"],
    )
