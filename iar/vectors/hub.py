"""Vector files on the Hub: ``hf://ORG/NAME[/FILE][@revision]`` wherever a vector file is taken.

A revision is a commit, a tag or a branch; without one it is ``main`` as it is now. The file lies in Hugging Face's
cache, so a second read needs no network. Which commit was read stands in the header, as ``hub``. The token is the one
of ``hf auth login`` or of HF_TOKEN: it is not a setting here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import HfApi, ModelCard, constants, snapshot_download

from iar.errors import UserError, did_you_mean

PREFIX = "hf://"
HEADER = "hub"  # the header's key: where the file came from, with its commit
_PART = r"[A-Za-z0-9][\w.-]*"
_ADDRESS = re.compile(rf"hf://({_PART}/{_PART})(?:/([\w./+-]+\.safetensors))?(?:@([\w./-]+))?")
_NAME = re.compile(rf"{_PART}/{_PART}")


class Found(NamedTuple):
    """A file or a folder of vectors on this machine.

    Attributes:
        address: Where it came from, with the commit.
    """

    path: Path
    address: str


def is_address(path: str | Path) -> bool:
    """Whether it is one; a ``Path`` makes ``hf:/`` of it, which counts too."""
    return str(path).startswith(PREFIX[:-1])


def folder(address: str) -> Found:
    """The vector files of a repository, downloaded where they are not in the cache.

    Raises:
        UserError: It is no such address, there is no such repository or revision, or it cannot be reached.
    """
    repo, _, revision = _parts(address)
    try:
        path = Path(snapshot_download(repo, revision=revision, allow_patterns=["*.safetensors"]))
    except Exception as error:  # the client's own classes differ from release to release
        raise UserError(f"cannot read {address}: {_reason(error)}") from error
    return Found(path, f"{PREFIX}{repo}@{path.name}")


def file(address: str) -> Found:
    """One vector file: the one that the address names, or the only one.

    Raises:
        UserError: As `folder`; there is none, or several and the address names none of them.
    """
    repo, name, _ = _parts(address)
    place = folder(address)
    there = sorted(str(path.relative_to(place.path)) for path in place.path.rglob("*.safetensors"))
    if name is None and len(there) != 1:
        holds = f"holds {', '.join(there)}: name one, {PREFIX}{repo}/{there[0]}" if there else "holds no vector file"
        raise UserError(f"{address} {holds}")
    if name is not None and name not in there:
        raise UserError(f"no {name} in {place.address}: {did_you_mean(name, there)}")
    return Found(place.path / (name or there[0]), place.address)


def push(repo: str, path: Path, card: str, private: bool = False) -> str:
    """Upload a vector file and its card to a model repository, which is made if there is none; its pinned address.

    Raises:
        UserError: No such name for a repository, a card that the Hub does not take, no token, or no connection.
    """
    if not _NAME.fullmatch(repo):
        raise UserError(f"{repo!r} is no name of a repository: it must be ORG/NAME")
    api = HfApi(endpoint=constants.ENDPOINT)
    try:
        checked = ModelCard(card, ignore_metadata_errors=False)
        checked.validate()
        api.create_repo(repo, private=private or None, exist_ok=True)
        from huggingface_hub import CommitOperationAdd

        operations = [
            CommitOperationAdd(path.name, str(path)),
            CommitOperationAdd("README.md", card.encode()),
        ]
        made = api.create_commit(repo, operations, commit_message=f"Steering vectors: {path.name}")
    except Exception as error:
        raise UserError(f"cannot push to {repo}: {_reason(error)} (a token: hf auth login, or HF_TOKEN)") from error
    return f"{PREFIX}{repo}@{made.oid}"


def _parts(address: str) -> tuple[str, str | None, str | None]:
    found = _ADDRESS.fullmatch(re.sub("^hf:/+", PREFIX, address))
    if not found:
        raise UserError(
            f"{address!r} is no address: it must be hf://ORG/NAME, hf://ORG/NAME/FILE.safetensors or …@REVISION"
        )
    return found[1], found[2], found[3]


def _reason(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
