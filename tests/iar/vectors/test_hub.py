"""Pushing and fetching over HTTP, with huggingface_hub, at a server on this machine that speaks as the Hub does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard, constants

import iar
from iar.errors import UserError
from iar.models import LoadedModel, load
from iar.vectors import VectorSet, digest, file, hub
from iar.vectors.header import header
from tests.iar.conftest import command  # noqa: F401  (a fixture)
from tests.iar.vectors.hub_server import TOKEN, HubServer

NAME = "multi_response-mms-mean.safetensors"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub

    with HubServer() as running:
        for name, value in (("ENDPOINT", running.url), ("HF_HUB_OFFLINE", False)):
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            running.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        huggingface_hub.close_session()
        yield running
        huggingface_hub.close_session()


@pytest.fixture
def vectors(tiny: LoadedModel) -> VectorSet:
    drawn, ones = torch.randn(6, 32, generator=torch.Generator().manual_seed(0)), torch.ones(6)
    return VectorSet(drawn, ones, ones, ones, ones, header=header(tiny, []))


def test_push_then_read_anywhere(
    server: HubServer,
    vectors: VectorSet,
    tiny: LoadedModel,
    command: Callable[..., Any],  # noqa: F811
    tmp_path: Path,
) -> None:
    file.write(tmp_path / NAME, vectors)
    scores = ["configuration,benchmark,protocol,data,category,metric,n,n_scored,value,low,high"]
    for configuration, value in (
        ("none", 0.31),
        ("iar-L2-x1.5", 0.9),
        ("random-L2-x1.5-s0", 0.33),
        ("random-s1", 0.35),
    ):
        scores.append(f"{configuration},vscbench,vscbench/full@2,full,all,SRA_u,9,9,{value},0,1")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/scores.csv").write_text("\n".join(scores) + "\n")
    asked = ["me/kind", tmp_path / NAME, "--layer", 2, "--strength", 1.5, "--run", tmp_path / "run"]
    dry = command("vectors.__main__", "push", *asked, "--dry-run")
    assert dry.code == 0 and not server.repos
    done = command("vectors.__main__", "push", *asked)
    assert done.code == 0, done.err
    ((commit, files),) = server.repos["me/kind"]
    assert done.out.strip() == f"hf://me/kind@{commit}" and TOKEN not in done.out + done.err
    assert "POST /api/validate-yaml" in server.asked
    # The card.
    text = files["README.md"].decode()
    assert dry.out.strip() == text.strip()
    card = ModelCard(text)
    assert card.data.tags == ["activation-steering", "steering-vector"] and card.data.library_name == "iar"
    assert "| vscbench/full@2 | SRA_u | 0.310 | 0.900 | 0.330 to 0.350 (2) |" in text
    assert "python -m iar.extract model=folder model.path=tiny-llava model.dtype=float32 pairs=multi_response" in text
    assert 'hf://me/kind", layers=[2], strength=1.5' in text and digest(vectors) in text
    # The file, wherever one is taken: pinned and not, and offline from the cache.
    assert files[NAME] == (tmp_path / NAME).read_bytes()
    for address in ("hf://me/kind", f"hf://me/kind@{commit}", f"hf://me/kind/{NAME}@main"):
        found = file.read(address, tiny)
        assert torch.equal(found.vectors, vectors.vectors) and digest(found) == digest(vectors)
        assert found.header["hub"] == f"hf://me/kind@{commit}"
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        with iar.revise(tiny, "hf://me/kind", layers=[2], strength=1.5):
            found_logits = tiny.model(ids).logits
        with iar.revise(tiny, vectors, layers=[2], strength=1.5):
            assert torch.equal(found_logits, tiny.model(ids).logits)
    inspected = command("vectors.__main__", "inspect", "hf://me/kind")
    assert inspected.code == 0 and f"hf://me/kind@{commit}" in inspected.out
    # A second push is another commit, and the pinned one stays what it was.
    file.write(tmp_path / NAME, replace(vectors, vectors=-vectors.vectors))
    assert command("vectors.__main__", "push", *asked).code == 0
    assert torch.equal(file.read("hf://me/kind", tiny).vectors, -vectors.vectors)
    assert torch.equal(file.read(f"hf://me/kind@{commit}", tiny).vectors, vectors.vectors)


def test_a_sweep_from_the_hub(
    server: HubServer,
    tiny_vectors: Path,
    small: list[str],
    swept: Path,
    command: Callable[..., Any],  # noqa: F811
    tmp_path: Path,
) -> None:
    """The scores are those of the same file in a folder, and the run says which commit it was."""
    commit = hub.push("me/kind", tiny_vectors / NAME, "---\ntags: [a]\n---\n").partition("@")[2]
    settings = [setting for setting in small if not setting.startswith("vectors=")]
    steered = ["vectors=hf://me/kind", "layer=2", "strength=1.5", "controls=1", "confirm=false", "run=hub"]
    done = command("sweep", *settings, *steered)
    assert done.code == 0, done.err
    assert (tmp_path / "hub/scores.csv").read_bytes() == (swept / "scores.csv").read_bytes()
    assert f"vectors: hf://me/kind@{commit}" in (tmp_path / "hub/log.txt").read_text()


def test_it_is_refused_on_another_model(
    server: HubServer, vectors: VectorSet, tiny: LoadedModel, tiny_folder: Path, tmp_path: Path
) -> None:
    file.write(tmp_path / NAME, vectors)
    hub.push("me/kind", tmp_path / NAME, "---\ntags: [a]\n---\n")
    with pytest.raises(UserError, match="was made with model"):
        file.read("hf://me/kind", load(tiny_folder, dtype="bfloat16"))


def test_one_line(server: HubServer, vectors: VectorSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write(tmp_path / NAME, vectors)
    file.write(tmp_path / "other.safetensors", vectors)
    card = "---\ntags: [a]\n---\n"
    pinned = hub.push("me/two", tmp_path / NAME, card)
    hub.push("me/two", tmp_path / "other.safetensors", card)
    for address, said in (
        ("hf://me/none", "cannot read hf://me/none"),
        ("hf://me/two@nowhere", "cannot read hf://me/two@nowhere"),
        ("hf://me/two", "holds multi_response-mms-mean.safetensors, other.safetensors: name one"),
        ("hf://me/two/another.safetensors", "no another.safetensors in hf://me/two@"),
        ("hf://two", "is no address"),
        ("hf://me/../two", "is no address"),
    ):
        with pytest.raises(UserError, match=said) as error:
            file.read(address)
        assert "\n" not in str(error.value)
    assert file.read(pinned).layers == tuple(range(6))
    with pytest.raises(UserError, match="no name of a repository"):
        hub.push("two", tmp_path / NAME, card)
    with pytest.raises(UserError, match="cannot push to me/two"):
        hub.push("me/two", tmp_path / NAME, "---\ntags: 3\n---\n")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match=r"cannot push to me/two: .*HF_TOKEN") as error:
        hub.push("me/two", tmp_path / NAME, card)
    assert "hf_wrong" not in str(error.value)
