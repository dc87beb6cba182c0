"""Load a vision-language model with its processor, from a folder or by its hub id."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils.import_utils import is_peft_available

from iar.errors import UserError, did_you_mean
from iar.models import clock, gguf, source, tokens, whole
from iar.models.decoder import Decoder, decoder_of
from iar.models.original_internvl import is_original_internvl, load_original_internvl
from iar.models.original_llava import is_original, load_original
from iar.models.placement import placement
from iar.models.pocket import WEIGHTS as POCKET
from iar.models.processor import load_processor
from iar.models.templates import IMAGE_TOKEN, TEMPLATES
from iar.terminal.console import console

PACKAGE = "package:"


@dataclass(frozen=True, repr=False)
class LoadedModel:
    """A model ready to be asked: in eval mode, without gradients.

    Attributes:
        processor: Of a vision-language model; a plain text model's tokenizer.
        id: The hub id, or the name of the folder it came from (not its path: a moved folder is the same model).
        revision: The hub commit; ``local`` for a folder.
        dtype: Name of the dtype it computes in.
        folder: The folder, for a model that came from one.
        stop: Texts that end an answer beside the end-of-turn token: the answer goes up to the first of them.
        choices: What else changes its answers: a template or quantization by name, a base model or vision tower by the
            folder it was read from.
    """

    model: PreTrainedModel
    processor: Any
    id: str
    revision: str
    dtype: str
    decoder: Decoder
    folder: Path | None = None
    stop: tuple[str, ...] = ()
    choices: Mapping[str, str | Path] = field(default_factory=dict)

    def __repr__(self) -> str:
        kind, size = type(self.model).__name__, self.decoder
        return f"LoadedModel({self.id}: {kind}, {len(size)} layers of {size.hidden_size}, {self.dtype}, {self.device})"

    @property
    def tokenizer(self) -> Any:
        return getattr(self.processor, "tokenizer", self.processor)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @cached_property
    def config_digest(self) -> str:
        """SHA-256 of the model's config without the fields that loading writes into it."""
        config = self.model.config.to_dict()
        for volatile in ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "quantization_config"):
            config.pop(volatile, None)
        return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over id, revision, dtype, choices and the model: the bytes of a folder's files, else the config.

        The attention implementation and the devices are not part of it: they compute the same up to rounding.
        """
        content: dict[str, Any] = {"id": self.id, "revision": self.revision, "dtype": self.dtype}
        if self.folder is None:
            content["config"] = self.config_digest
        else:
            # The config is one of the files; the parsed one would change with the installed transformers.
            content |= {f"file:{name}": digest for name, digest in source.digests(self.folder).items()}
        # How a prompt is written and read, where that is not as the files say (and was another way before).
        for name, found in (("day", clock.day(self.processor)), ("cut", tokens.added_behind(self.processor))):
            if found:
                content[name] = found
        for name, choice in self.choices.items():
            content[f"choice:{name}"] = source.digests(choice) if isinstance(choice, Path) else choice
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load(
    path: str | Path,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    revision: str | None = None,
    trust_remote_code: bool = False,
    template: str | None = None,
    device_map: str | dict[str, Any] | None = None,
    attention: str | None = None,
    quantization: str | None = None,
    vision_tower: str | Path | None = None,
    base: str | Path | None = None,
    gguf_file: str | None = None,
) -> LoadedModel:
    """Load model and processor through the Auto classes; a folder needs no network.

    A checkpoint in the original layout of LLaVA (VLGuard, SPA-VL) or InternVL (InternVL2) is read into transformers'
    class in memory.

    Args:
        path: Folder, hub id, GGUF file, ``package:NAME`` for the folder of an installed Python package, or ``pocket``
            for the model that ships with this one.
        revision: Commit, tag or branch of a hub model.
        trust_remote_code: Run Python code that lies in the checkpoint; without it such a model is refused.
        template: Conversation template of `iar.models.templates` instead of the processor's own.
        device_map: Spread the weights over devices, e.g. ``auto``; ``device`` is not used then.
        attention: ``eager``, ``sdpa``, ``flash_attention_2`` or ``flex_attention``; None lets transformers choose.
        quantization: ``4bit`` for NF4 weights (bitsandbytes); what it costs in quality was not measured here.
        vision_tower: Folder or hub id, for LLaVA's original layout only.
        base: Folder or hub id of a LoRA checkpoint's base model, for LLaVA's original layout only.
        gguf_file: Name of a GGUF file in the folder ``path`` (`iar.models.gguf`).

    Raises:
        UserError: An unknown name, no such folder or hub model, a package missing, a checkpoint that is not whole
            (`iar.models.whole`), or a model without a supported decoder.
    """
    if template is not None and template not in TEMPLATES:
        raise UserError(f"unknown template {template!r}: {did_you_mean(template, TEMPLATES)} (null: the model's own)")
    place = placement(dtype, device, device_map, attention, quantization)
    if path == "pocket":
        path = POCKET
    if str(path).startswith(PACKAGE):
        path = source.installed(str(path).removeprefix(PACKAGE))
    if not sys.stderr.isatty():  # in a file or a pipe its bar is noise around an error's one line
        transformers.logging.disable_progress_bar()
    if file := gguf.file_of(path, gguf_file):
        path = gguf.unpacked(file, dtype)
    folder = source.folder_of(path)
    name = str(folder or path)
    choices: dict[str, str | Path] = {}
    model: Any
    processor: Any
    try:
        if folder is None:
            source.reach_hub(name, revision)
        raw, _ = PreTrainedConfig.get_config_dict(name, **({} if revision is None else {"revision": revision}))
        if is_original(raw):
            local = source.local_copy(path, revision)
            model, processor, parts = load_original(local, base=base, vision_tower=vision_tower, **place)
            choices |= parts
        elif is_original_internvl(raw):
            model, processor = load_original_internvl(source.local_copy(path, revision), **place)
        else:
            if folder and (folder / "adapter_config.json").is_file() and not is_peft_available():
                raise UserError(f"{folder} holds an adapter beside its weights: pip install peft, or merge it first")
            model, processor = _load_auto(name, revision, trust_remote_code is True, place)
    except (
        *(OSError, ValueError, ImportError, AttributeError, RuntimeError, SafetensorError),
        *(LookupError, TypeError, EOFError, struct.error, pickle.UnpicklingError),  # what damaged files lead to
    ) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if "trust_remote_code" in str(error):
            way_out = "read that code, then say model.trust_remote_code=true"
        elif folder:
            way_out = "is it a model folder with its processor files?"
        else:
            way_out = "a hub id needs network or a filled cache; for a folder say model.path=DIR"
        raise UserError(f"cannot load model {name!r}: {reason} ({way_out})") from error
    if "device_map" not in place:
        try:
            model.to(device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(f"cannot use device {device!r}: {str(error).splitlines()[0]} (try device=cpu)") from error
    model.eval().requires_grad_(False)
    whole.check_values(model, name, dtype)
    if template is not None:
        _set_template(processor, template, name)
        choices["template"] = template
    if quantization is not None:
        choices["quantization"] = quantization
    return LoadedModel(
        model=model,
        processor=processor,
        id=folder.resolve().name if folder else name,
        revision="local" if folder else source.commit_of(name, revision),
        dtype=dtype,
        decoder=decoder_of(model),
        folder=folder,
        stop=TEMPLATES[template].stop if template else (),
        choices=choices,
    )


class ModelSettings(Protocol):
    """What `load_from` reads of an entry of conf/model (`iar.pipeline.experiment.settings.Model`)."""

    name: str
    path: str | None
    dtype: str
    device: str
    device_map: Any
    attention: str | None
    quantization: str | None
    revision: str | None
    trust_remote_code: bool
    template: str | None
    vision_tower: str | None
    base: str | None
    gguf: str | None

    @property
    def kind(self) -> str:
        """``local`` or ``endpoint``."""


def load_from(settings: ModelSettings) -> LoadedModel:
    """Load what a model configuration of conf/model names; ``pocket`` is the model that ships with the package, and
    ``device=auto`` takes a GPU if there is one.

    Raises:
        UserError: As `load`; the model runs at an endpoint.
    """
    if settings.kind == "endpoint":
        raise UserError(
            f"model {settings.name} runs at an endpoint, where its activations are out of reach: take an open model, "
            "such as model=qwen2.5-vl-7b"
        )
    if settings.path is None:
        raise UserError(f"model {settings.name} has no weights: model.path=DIR")
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = load(
        settings.path,
        dtype=settings.dtype,
        device=device,
        revision=settings.revision,
        trust_remote_code=settings.trust_remote_code,
        device_map=settings.device_map,
        template=settings.template,
        attention=settings.attention,
        quantization=settings.quantization,
        vision_tower=settings.vision_tower,
        base=settings.base,
        gguf_file=settings.gguf,
    )
    if settings.device == "auto" and loaded.device.type == "cpu":
        console.print(f"model {settings.name}: no GPU was found: it runs on the CPU, in {loaded.dtype} (model.dtype)")
    return loaded


def _load_auto(
    name: str, revision: str | None, trust_remote_code: bool, place: Mapping[str, Any]
) -> tuple[PreTrainedModel, Any]:
    """Model and processor in transformers' layout, or by the checkpoint's own code if that is trusted."""
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if revision is not None:
        options["revision"] = revision
    if (folder := source.cached(name, revision)) is not None:
        whole.check_pickles(folder)
    auto = class_of(AutoConfig.from_pretrained(name, **options), trust_remote_code)
    processor = load_processor(name, **options)
    model = whole.load_whole(partial(auto.from_pretrained, name), name, **options, **place)
    if (folder := source.cached(name, revision)) is not None:
        whole.check_types(model, folder)
    return model, processor


def class_of(config: PreTrainedConfig, trusted: bool) -> Any:
    """The Auto class that loads a config's model, by the Auto classes' own mappings.

    Plain text models are causal language models there, and so are a few that read images, such as Phi-4. A trusted
    checkpoint's own code says it in ``auto_map``.

    Raises:
        ValueError: It is in neither.
    """
    own = getattr(config, "auto_map", None) or {} if trusted else {}
    for auto in (AutoModelForImageTextToText, AutoModelForCausalLM):
        if type(config) in auto._model_mapping or auto.__name__ in own:
            return auto
    raise ValueError(f"{type(config).__name__} is neither an image-text-to-text nor a causal language model")


def _set_template(processor: Any, template: str, name: str) -> None:
    image_token = getattr(processor, "image_token", IMAGE_TOKEN)
    if image_token != IMAGE_TOKEN:
        raise UserError(
            f"template {template!r} writes {IMAGE_TOKEN} for an image, but model {name!r} reads {image_token!r}: "
            "say model.template=null for its own"
        )
    processor.chat_template = TEMPLATES[template].jinja
