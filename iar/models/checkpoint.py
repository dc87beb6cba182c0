"""Load a vision-language model with its processor, from a folder or by its hub id."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin

from iar.errors import UserError, did_you_mean
from iar.models.decoder import Decoder, decoder_of
from iar.models.pocket import WEIGHTS as POCKET

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
# What changes an answer: weights, configs, tokenizer, template. Not the model card, not an optimizer state.
_SUFFIXES = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt")


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to be asked: in eval mode, without gradients.

    Attributes:
        id: The hub id, or the name of the folder it came from (not its path: a moved folder is the same model).
        revision: The hub commit; ``local`` for a folder.
        dtype: Name of the dtype it computes in.
        folder: The folder, for a model that came from one.
    """

    model: PreTrainedModel
    processor: ProcessorMixin
    id: str
    revision: str
    dtype: str
    decoder: Decoder
    folder: Path | None = None

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        return self.model.device

    @cached_property
    def config_digest(self) -> str:
        """SHA-256 of the model's config without the fields that loading writes into it."""
        config = self.model.config.to_dict()
        for volatile in ("transformers_version", "_name_or_path", "dtype", "torch_dtype"):
            config.pop(volatile, None)
        return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over id, revision, dtype and what the model is: the bytes of a folder's files, else the config."""
        content = {"id": self.id, "revision": self.revision, "dtype": self.dtype}
        if self.folder is None:
            content["config"] = self.config_digest
        else:
            # The config is one of the files; the parsed one would change with the installed transformers.
            files = sorted(f for f in self.folder.iterdir() if f.is_file() and f.name.endswith(_SUFFIXES))
            content |= {f"file:{file.name}": _file_digest(file) for file in files}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load(
    path: str | Path,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load model and processor through the Auto classes; a folder needs no network.

    Raises:
        UserError: Unknown dtype or device, no such folder or hub model, or a model without a supported decoder.
    """
    if dtype not in DTYPES:
        raise UserError(f"unknown dtype {dtype!r}: {did_you_mean(dtype, DTYPES)}")
    folder = _folder(path)
    source = str(folder or path)
    if not sys.stderr.isatty():  # in a file or a pipe its bar is noise around an error's one line
        transformers.logging.disable_progress_bar()
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if revision is not None:
        options["revision"] = revision
    try:
        if folder is None:
            _reach_hub(source, revision)
        processor = AutoProcessor.from_pretrained(source, **options)
        model = AutoModelForImageTextToText.from_pretrained(source, dtype=DTYPES[dtype], **options)
    except (OSError, ValueError, ImportError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        way_out = (
            "is it a model folder with its processor files?"
            if folder
            else "a hub id needs network or a filled cache; for a folder say model.path=DIR"
        )
        raise UserError(f"cannot load model {source!r}: {reason} ({way_out})") from error
    try:
        model.to(device)  # type: ignore[arg-type]  # its annotation lost the argument
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"cannot use device {device!r}: {str(error).splitlines()[0]} (try device=cpu)") from error
    model.eval().requires_grad_(False)
    commit = getattr(model.config, "_commit_hash", None) or revision or "main"
    return LoadedModel(
        model=model,
        processor=processor,
        id=folder.resolve().name if folder else source,
        revision="local" if folder else commit,
        dtype=dtype,
        decoder=decoder_of(model),
        folder=folder,
    )


def load_from(settings: Any) -> LoadedModel:
    """Load what a model configuration of conf/model names; ``pocket`` is the model that ships with the package, and
    ``device=auto`` takes a GPU if there is one.

    Raises:
        UserError: As `load`.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return load(
        POCKET if settings.path == "pocket" else settings.path,
        dtype=settings.dtype,
        device=device,
        revision=settings.revision,
        trust_remote_code=settings.trust_remote_code,
    )


def _folder(path: str | Path) -> Path | None:
    """The folder that ``path`` names, or None when it can only be a hub id (``owner/name``)."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"no config.json in {folder}: model.path=DIR must name a saved model's folder")
        return folder
    text = str(path)
    if folder.exists() or folder.is_absolute() or text.startswith((".", "~")) or text.count("/") != 1:
        raise UserError(f"no model folder {text}: give model.path=DIR, or a hub id such as llava-hf/llava-1.5-7b-hf")
    return None


def _reach_hub(repo: str, revision: str | None) -> None:
    """One look at the hub for a model that is not in the cache: the loaders retry every file for half a minute."""
    if not isinstance(try_to_load_from_cache(repo, "config.json", revision=revision), str):
        try:
            get_hf_file_metadata(hf_hub_url(repo, "config.json", revision=revision))
        except Exception as error:  # the client's own classes differ from release to release (requests, httpx, httpx2)
            raise OSError(f"{type(error).__name__}: {error}") from error


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
