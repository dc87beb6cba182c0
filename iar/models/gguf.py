"""GGUF files, llama.cpp's format: dequantised once into a folder in transformers' layout, which is kept.

The folder lies in ``iar/gguf`` of Hugging Face's cache (``HF_HOME``), named by the digest of the file's bytes, the
dtype and the versions of what read it. It appears only when it is complete, and one process at a time makes it. Text
models only: a projector for images (``mmproj``) is not read.
"""

from __future__ import annotations

import tempfile
from contextlib import redirect_stderr
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import transformers
from filelock import FileLock
from huggingface_hub.constants import HF_HOME
from transformers import AutoModelForCausalLM, AutoTokenizer

from iar.errors import UserError, did_you_mean
from iar.models import source, whole
from iar.models.placement import DTYPES
from iar.terminal.console import console

SUFFIX = ".gguf"
_MAGIC = b"GGUF"


def file_of(path: str | Path, name: str | None = None) -> Path | None:
    """The GGUF file that ``model.path`` names, alone or with ``model.gguf``; None where it names none.

    Raises:
        UserError: There is no such file.
    """
    place = Path(path).expanduser()
    if name is None:
        if place.suffix.lower() != SUFFIX or place.is_dir():
            return None
        if not place.is_file():
            raise UserError(f"no file {place}: give model.path=FILE.gguf")
        return place
    file = place / name
    if not file.is_file():
        there = sorted(found.name for found in place.glob(f"*{SUFFIX}")) if place.is_dir() else []
        way_out = did_you_mean(name, there) if there else "model.path must be the folder that holds it"
        raise UserError(f"no file {name} in {place}: {way_out}")
    return file


def unpacked(file: Path, dtype: str) -> Path:
    """The folder with the file's model in ``dtype`` and its tokenizer; made on first use.

    Raises:
        UserError: A package is missing, or the file is not a whole GGUF file of a text model that transformers knows.
    """
    for package in ("gguf", "accelerate"):
        if find_spec(package) is None:
            raise UserError(f"{file.name} needs the {package} package: pip install 'iar[gguf]'")
    with file.open("rb") as opened:
        if opened.read(len(_MAGIC)) != _MAGIC:
            raise UserError(f"{file} is no GGUF file: its first bytes are not {_MAGIC.decode()}")
    by = f"{dtype}-{transformers.__version__}-{version('gguf')}"
    folder = Path(HF_HOME) / "iar" / "gguf" / f"{source.digest(file)[:32]}-{by}" / file.stem
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / ".lock"):
        if not folder.is_dir():  # another process may have made it
            console.print(f"dequantising {file.name} once, into {folder}")
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                fresh = Path(scratch) / folder.name
                _write(file, dtype, fresh)
                fresh.rename(folder)
    return folder


def _write(file: Path, dtype: str, folder: Path) -> None:
    options: dict[str, Any] = {"gguf_file": file.name}
    if find_spec("kernels"):  # then the weights would stay packed, in a form that cannot be saved
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    try:
        with redirect_stderr(StringIO()):  # bars of several libraries, which no setting of transformers turns off
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            load = partial(AutoModelForCausalLM.from_pretrained, file.parent)
            model = whole.load_whole(load, str(file), dtype=DTYPES[dtype], **options)
    except UserError:
        raise
    except Exception as error:  # damaged files lead to any, tokenizers raises its base class
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"cannot read {file}: {reason} (is it a whole GGUF file of a text model?)") from error
    # The weights are plain now; what says otherwise would be refused by whatever reads the folder.
    for holder, name in ((model.config, "quantization_config"), (model, "hf_quantizer")):
        if hasattr(holder, name):
            delattr(holder, name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
