"""``python -m iar.export``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.models import LoadedModel
from iar.vectors import VectorSet, file


@pytest.fixture
def vector_file(tiny: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet], tmp_path: Path) -> Path:
    file.write(tmp_path / "v.safetensors", vectors_of(tiny))
    return tmp_path / "v.safetensors"


def test_every_kind(vector_file: Path, tiny_folder: Path, command: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="needs pip install 'iar[export]'")
    pytest.importorskip("gguf", reason="needs pip install 'iar[gguf]'")
    place = ["--layers", "1+2", "--strength", "2", "--positions", "all"]
    for kind in ("folded", "peft"):
        done = command("export.__main__", kind, vector_file, "--model", tiny_folder, *place, "--out", kind)
        assert done.code == 0, done.err
        assert done.out.startswith(f"{kind}\nread again: 4 of 4 answers equal to iar.revise, logits to ")
    assert (tmp_path / "folded/model.safetensors").is_file()
    assert (tmp_path / "peft/adapter_model.safetensors").is_file()
    done = command("export.__main__", "gguf", vector_file, *place, "--out", "v.gguf")
    assert (done.code, done.out) == (0, "v.gguf\nllama-server -m MODEL.gguf --control-vector v.gguf\n")
    done = command("export.__main__", "easysteer", vector_file, "--layers", "1", "--out", "s.json")
    assert (done.code, done.out) == (0, "s.json\ns.gguf\n")
    assert json.loads((tmp_path / "s.json").read_text())["vectors"][0]["apply"]["prompt_positions"] == [-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layers", "1"], "positions=last, but a bias is added at all"),
        (["--layers", "x", "--positions", "all"], "layers=x must be block numbers"),
        (["--layers", "7", "--positions", "all"], "layer 7 is outside the model"),
        (["--layers", "1", "--method", "gated"], "asks a gate about each prompt"),
        (["--layers", "1", "--method", "iarr"], "unknown method"),
    ],
)
def test_one_line(
    arguments: list[str],
    said: str,
    vector_file: Path,
    tiny_folder: Path,
    command: Callable[..., Any],
    tmp_path: Path,
) -> None:
    done = command("export.__main__", "folded", vector_file, "--model", tiny_folder, *arguments, "--out", "out")
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1, done.err
    assert not (tmp_path / "out").exists()


def test_vectors_of_another_model(vector_file: Path, command: Callable[..., Any]) -> None:
    given = ["--model", "pocket", "--layers", "1", "--positions", "all", "--out", "out"]
    done = command("export.__main__", "folded", vector_file, *given)
    assert done.code == 2 and "is for hidden size 32" in done.err
