"""Read checkpoints in InternVL's original layout (``InternVLChatModel``) into transformers' InternVL.

InternVL2, the InternVL of VSCBench, is published so only: an InternViT, a projector and an InternLM2 (2B, 8B, 26B) or a
Qwen2 (1B), with Python code of its own that is neither needed nor run here. What differs:

    vision_model.encoder.layers.*.attn.qkv      query, key and value in one matrix
    mlp1.{0,1,3}                                the projector's norm and its two linear maps
    language_model.model.*.attention.wqkv       InternLM2: (kv_heads (groups + 2) head_dim) rows; each key head's group
                                                of queries, then its key and its value. Else a Llama by other names

* **Conversation.** The template is the one that the config names, with the system prompt of the authors'
  ``conversation.py`` or, if the config has one, its ``system_message``. One in the conversation replaces it.
* **Images.** As the authors' ``dynamic_preprocess`` with the config's own numbers: up to ``max_dynamic_patch`` tiles of
  448 x 448 of the closest aspect ratio, and a thumbnail when there are several; 256 tokens each. VSCBench resizes an
  image to one tile: ``"max_dynamic_patch": 1`` in the folder's config.json does that.
* **Tokens.** `iar.models.internlm2_tokenizer`; answers end at ``<|im_end|>``. ``<video>`` is a token without a row in
  the embedding: the processor refuses texts that hold it. The authors' decoding drops blanks before punctuation, this
  does not.

Every weight of the file must find its place and every place its weight; anything else is an error that names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from iar.errors import UserError
from iar.models.assembly import TEXT_FIELDS, build
from iar.models.internlm2_tokenizer import internlm2_tokenizer
from iar.models.processor import no_video
from iar.models.templates import jinja
from iar.models.weight_files import Progress, read_weights
from iar.models.whole import listed

_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of ImageNet
_END = "<|im_end|>"
_TOKENS = {
    **{"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"},
    "video_token": "<video>",
}
_TEXTS: dict[str, Any] = {"InternLM2ForCausalLM": LlamaConfig, "Qwen2ForCausalLM": Qwen2Config}
# Template name -> system prompt, and what ends a turn.
_OF_SENSETIME = (
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
)
_OF_PARTNERS = (
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
)
_TEMPLATES = {
    "internlm2-chat": (_OF_SENSETIME, _END),
    "Hermes-2": (_OF_SENSETIME, _END),
    "internvl2_5": (_OF_PARTNERS, f"{_END}\n"),
}
# Field of transformers' vision config -> field of the authors', and its value where a config leaves it out.
_VISION: dict[str, tuple[str, Any]] = {
    **{name: (name, default) for name, default in (("hidden_size", 3200), ("intermediate_size", 12800))},
    **{name: (name, default) for name, default in (("num_hidden_layers", 48), ("num_attention_heads", 25))},
    **{name: (name, default) for name, default in (("image_size", 224), ("patch_size", 14), ("num_channels", 3))},
    **{name: (name, default) for name, default in (("hidden_act", "gelu"), ("layer_norm_eps", 1e-6))},
    **{"norm_type": ("norm_type", "rms_norm"), "initializer_range": ("initializer_range", 0.02)},
    **{"attention_bias": ("qkv_bias", False), "use_qk_norm": ("qk_normalization", True)},
}
# Original name -> transformers' name; * is one part of a name and ** any number, and both are kept.
_VIT, _BLOCK = "vision_model.encoder.layers.*.", "model.vision_tower.encoder.layer.*."
_COMMON = {
    "vision_model.embeddings.class_embedding": "model.vision_tower.embeddings.cls_token",
    "vision_model.embeddings.position_embedding": "model.vision_tower.embeddings.position_embeddings",
    "vision_model.embeddings.patch_embedding.*": "model.vision_tower.embeddings.patch_embeddings.projection.*",
    f"{_VIT}attn.qkv.*": f"{_BLOCK}attention.qkv.*",
    f"{_VIT}attn.proj.*": f"{_BLOCK}attention.projection_layer.*",
    f"{_VIT}attn.q_norm.*": f"{_BLOCK}attention.q_norm.*",
    f"{_VIT}attn.k_norm.*": f"{_BLOCK}attention.k_norm.*",
    f"{_VIT}norm1.*": f"{_BLOCK}layernorm_before.*",
    f"{_VIT}norm2.*": f"{_BLOCK}layernorm_after.*",
    f"{_VIT}ls1": f"{_BLOCK}lambda_1",
    f"{_VIT}ls2": f"{_BLOCK}lambda_2",
    f"{_VIT}mlp.**": f"{_BLOCK}mlp.**",
    "mlp1.0.*": "model.multi_modal_projector.layer_norm.*",
    "mlp1.1.*": "model.multi_modal_projector.linear_1.*",
    "mlp1.3.*": "model.multi_modal_projector.linear_2.*",
}
_LM, _LAYER = "language_model.model.layers.*.", "model.language_model.layers.*."
_NAMES = {
    "InternLM2ForCausalLM": {
        "language_model.model.tok_embeddings.*": "model.language_model.embed_tokens.*",
        f"{_LM}attention.wqkv.*": f"{_LAYER}self_attn.qkv.*",
        f"{_LM}attention.wo.*": f"{_LAYER}self_attn.o_proj.*",
        f"{_LM}feed_forward.w1.*": f"{_LAYER}mlp.gate_proj.*",
        f"{_LM}feed_forward.w2.*": f"{_LAYER}mlp.down_proj.*",
        f"{_LM}feed_forward.w3.*": f"{_LAYER}mlp.up_proj.*",
        f"{_LM}attention_norm.*": f"{_LAYER}input_layernorm.*",
        f"{_LM}ffn_norm.*": f"{_LAYER}post_attention_layernorm.*",
        "language_model.model.norm.*": "model.language_model.norm.*",
        "language_model.output.*": "lm_head.*",
    },
    "Qwen2ForCausalLM": {
        "language_model.model.**": "model.language_model.**",
        "language_model.lm_head.*": "lm_head.*",
    },
}


def is_original_internvl(config: Mapping[str, Any]) -> bool:
    """Whether a ``config.json`` is of the authors' own layout."""
    return config.get("model_type") == "internvl_chat" or "InternVLChatModel" in (config.get("architectures") or ())


def load_original_internvl(
    folder: Path, *, progress: Progress | None = None, **options: Any
) -> tuple[InternVLForConditionalGeneration, InternVLProcessor]:
    """The checkpoint as transformers' model and processor, in memory.

    Args:
        options: For ``from_pretrained``, such as ``device_map``; without ``dtype`` it is the checkpoint's own.

    Raises:
        UserError: A variant that is not read, files missing or damaged, weights missing or left over.
    """
    original = _read_config(folder)
    tokenizer = _tokenizer(folder, original)
    config = _config(original, tokenizer)
    weights = _converted(read_weights(folder, progress=progress), original, config, folder)
    options.setdefault("dtype", next(iter(weights.values())).dtype)
    model = build(InternVLForConditionalGeneration, config, weights, folder, options, "InternVL")
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.convert_tokens_to_ids(_END),
        pad_token_id=tokenizer.pad_token_id,
    )
    return model, _processor(original, config, tokenizer)


def _read_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    vision, kind = config["vision_config"], (config["llm_config"].get("architectures") or ["none"])[0]
    size = vision.get("image_size", _VISION["image_size"][1])
    tiles = config.get("dynamic_image_size", False) and config.get("max_dynamic_patch", 6) > 1
    unsupported = {
        f"the language model {kind}": kind not in _TEXTS,
        f"template {config.get('template')!r}": config.get("template") not in _TEMPLATES,
        f"ps_version {config.get('ps_version', 'v1')}": config.get("ps_version", "v1") != "v2",
        "LoRA weights": config.get("use_backbone_lora") or config.get("use_llm_lora"),
        "images padded to squares": config.get("pad2square", False),
        "tiles without a thumbnail": tiles and not config.get("use_thumbnail", False),
        "images of another size than its vision tower's": (config.get("force_image_size") or size) != size,
        # transformers' has this number written in its code
        "query norms of another epsilon": vision.get("qk_normalization", True)
        and vision.get("layer_norm_eps", 1e-6) != 1e-6,
    }
    for what, found in unsupported.items():
        if found:
            raise UserError(
                f"{folder} is in InternVL's original layout with {what}, which is not read: "
                "use a checkpoint converted for transformers, such as those of OpenGVLab that end in -hf"
            )
    return config


def _config(original: Mapping[str, Any], tokenizer: PreTrainedTokenizerFast) -> InternVLConfig:
    llm, vision = original["llm_config"], original["vision_config"]
    text = {name: llm[name] for name in TEXT_FIELDS if llm.get(name) is not None}
    kind = llm["architectures"][0]
    if kind == "InternLM2ForCausalLM":
        text["attention_bias"] = llm.get("bias", True)
        text["num_key_value_heads"] = llm.get("num_key_value_heads") or llm["num_attention_heads"]
    # Never tied, whatever the config says: the authors' code sets it so.
    text |= {"vocab_size": llm["vocab_size"], "pad_token_id": tokenizer.pad_token_id, "tie_word_embeddings": False}
    seen: Any = InternVLVisionConfig(**{ours: vision.get(name, default) for ours, (name, default) in _VISION.items()})
    ratio = original.get("downsample_ratio", 0.5)
    image: Any = tokenizer.convert_tokens_to_ids(_TOKENS["context_image_token"])
    return InternVLConfig(
        text_config=_TEXTS[kind](**text),
        vision_config=seen,
        image_token_id=image,
        image_seq_length=int((seen.image_size[0] // seen.patch_size[0]) ** 2 * ratio**2),
        downsample_ratio=ratio,
        vision_feature_layer=original.get("select_layer", -1),
        tie_word_embeddings=False,
        architectures=["InternVLForConditionalGeneration"],
    )


def _converted(
    weights: Mapping[str, Tensor], original: Mapping[str, Any], config: InternVLConfig, folder: Path
) -> dict[str, Tensor]:
    """The weights under transformers' names, with query, key and value apart."""
    text: Any = config.text_config
    vision: Any = config.vision_config
    groups = text.num_attention_heads // text.num_key_value_heads
    names = _COMMON | _NAMES[original["llm_config"]["architectures"][0]]
    patterns = {
        re.compile(re.escape(old).replace(r"\*\*", "(.+)").replace(r"\*", "([^.]+)")): new.replace("**", "*")
        for old, new in names.items()
    }
    converted, left, misfits = {}, [], []
    for name, tensor in weights.items():
        found = ((match, new) for old, new in patterns.items() if (match := old.fullmatch(name)))
        match, new = next(found, (None, ""))
        if match is None:
            left.append(name)
            continue
        for part in match.groups():
            new = new.replace("*", part, 1)
        if ".qkv." not in new:
            converted[new] = tensor
            continue
        # heads: of keys, and how many rows of a head's query, key and value lie together
        heads, together = (text.num_key_value_heads, groups) if ".self_attn." in new else (1, 1)
        size = text.hidden_size // text.num_attention_heads if ".self_attn." in new else vision.hidden_size
        if len(tensor) != heads * (together + 2) * size:
            misfits.append(name)
            continue
        rows = tensor.unflatten(0, (heads, together + 2, size))
        parts = {"q": rows[:, :together], "k": rows[:, together], "v": rows[:, together + 1]}
        for part, chosen in parts.items():
            converted[new.replace(".qkv.", f".{part}_proj.")] = chosen.reshape(-1, *tensor.shape[1:]).contiguous()
    if left:
        raise UserError(f"{folder} has weights that InternVL has no place for: {listed(left)}")
    if misfits:
        raise UserError(f"{folder} has weights of another shape than its config says: {listed(misfits)}")
    return converted


def _tokenizer(folder: Path, original: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    special: dict[str, str | None]
    if original["llm_config"]["architectures"][0] == "InternLM2ForCausalLM":
        backend, longest = internlm2_tokenizer(folder), original["llm_config"]["max_position_embeddings"]
        special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
    else:
        read = AutoTokenizer.from_pretrained(folder, config=Qwen2Config())
        backend, longest = read.backend_tokenizer, read.model_max_length
        special = {name: getattr(read, name) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    for token in (*_TOKENS.values(), _END):
        if backend.token_to_id(token) is None and token != _TOKENS["video_token"]:
            raise UserError(f"the tokenizer of {folder} has no token {token}: the checkpoint is incomplete")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **{name: token for name, token in special.items() if token is not None},
        extra_special_tokens=_TOKENS,
        padding_side="left",
        model_max_length=longest,
        clean_up_tokenization_spaces=False,
    )


def _processor(
    original: Mapping[str, Any], config: InternVLConfig, tokenizer: PreTrainedTokenizerFast
) -> InternVLProcessor:
    vision: Any = config.vision_config
    height, width = vision.image_size
    dynamic = original.get("dynamic_image_size", False)
    images = GotOcr2ImageProcessorPil(
        size={"height": height, "width": width},
        image_mean=_MEAN,
        image_std=_STD,
        crop_to_patches=True,  # the processor's own default, which would win over another value here
        min_patches=original.get("min_dynamic_patch", 1) if dynamic else 1,
        max_patches=original.get("max_dynamic_patch", 6) if dynamic else 1,
    )
    system, end = _TEMPLATES[original["template"]]
    user, assistant = "<|im_start|>user\n", "<|im_start|>assistant\n"
    template = jinja(
        **dict(before_system="<|im_start|>system\n", system=original.get("system_message", system), after_system=end),
        **dict(user=user, assistant=assistant, assistant_next=assistant, after_question=end, after_answer=end),
        image=_TOKENS["context_image_token"],
    )
    with no_video():
        return InternVLProcessor(
            images, tokenizer, None, image_seq_length=config.image_seq_length, chat_template=template
        )
