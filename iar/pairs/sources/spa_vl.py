"""SPA-VL (Zhang et al. 2024, arXiv 2406.12030): question about an image, with a chosen and a rejected response.

Parquet as published (columns ``image``, ``question``, ``chosen``, ``rejected``, ``class1`` to ``class3``; needs the
package pyarrow), a folder of such files, or JSON / JSON Lines with the same fields and the image as a file name.
``chosen`` is the safe side and ``rejected`` the unsafe one: a preference for the more harmless *and* the more helpful
response, so a rejected response need not be harmful.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from iar.errors import UserError
from iar.pairs.row import Row, Side
from iar.pairs.sources.files import image_in, items_of
from iar.records.text_file import replacing
from iar.terminal.console import console

_TEXTS = ("question", "chosen", "rejected")
_HINT = "give the images' folder: pairs.images=DIR"


def rows(path: Path, settings: Mapping[str, Any]) -> Iterator[Row]:
    """The rows in order; ids are file name and position. Rows with an empty text are left out, and how many is said.

    Args:
        settings: ``images``: folder of images that are named, default the file's own. ``cache``: where images that
            come as bytes are written once, default ``<file>.images`` beside the file. ``category``: the column that
            names the category, default ``class1``.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"no .parquet file in {path}: give pairs.path=FILE, or a folder with SPA-VL's files")
    for file in files:
        empty = 0
        images = [Path(settings["images"]).expanduser()] if settings.get("images") else [file.parent]
        cache = Path(settings.get("cache") or f"{file}.images").expanduser()
        for index, (place, item) in enumerate(_parquet(file) if file.suffix == ".parquet" else items_of(file)):
            if not isinstance(item, dict) or (missing := [n for n in (*_TEXTS, "image") if n not in item]):
                lacking = ", ".join(missing) if isinstance(item, dict) else "all of them"
                raise UserError(f"{place}: not a row of SPA-VL; missing: {lacking}")
            for name in _TEXTS:
                if item[name] is not None and not isinstance(item[name], str):
                    raise UserError(f"{place}: {name!r} must be a text")
            question, chosen, rejected = (item[name] or "" for name in _TEXTS)
            if not (question.strip() and chosen.strip() and rejected.strip()):
                empty += 1
                continue
            image = _image(item["image"], images, cache, place)
            category = str(item.get(str(settings.get("category") or "class1")) or "")
            safe, unsafe = Side(question, image, chosen), Side(question, image, rejected)
            yield Row(f"{file.stem}/{index}", place, safe, unsafe, category)
        if empty:
            console.print(f"{file}: {empty} rows with an empty text left out")


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    """The rows of a parquet file, a few at a time: a shard with its images is half a gigabyte."""
    if not path.is_file():
        raise UserError(f"no pairs file {path}: give pairs.path=FILE")
    try:
        pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UserError(f"reading {path} needs the package pyarrow: pip install pyarrow") from error
    try:
        index = 0
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=32):
            for item in batch.to_pylist():
                yield f"{path}[{index}]", item
                index += 1
    except (OSError, ValueError, pyarrow.ArrowException) as error:  # ValueError: text that is not UTF-8
        raise UserError(f"cannot read pairs file {path}: {str(error).splitlines()[0]}") from error


def _image(value: Any, folders: list[Path], cache: Path, place: str) -> Path:
    """The image file: named, or written from the bytes that a ``{"bytes", "path"}`` holds."""
    if not isinstance(value, dict):
        return image_in(value, folders, place, _HINT)
    content, name = value.get("bytes"), value.get("path")
    if not isinstance(content, bytes):
        return image_in(name, folders, place, _HINT)
    file = cache / f"{hashlib.sha256(content).hexdigest()[:32]}{Path(name or '').suffix}"
    if not file.exists():
        with replacing(file, shared=True) as partial:
            partial.write_bytes(content)
    return file
