"""The commands on small data: pocket data of a few items, and a random LLaVA."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def pocket_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pocket data in the real layouts: a few items a benchmark, six pairs. To be read only."""
    from benchmark.pocket import layouts

    folder = tmp_path_factory.mktemp("data") / "pocket"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(3, 4, 4, 8)))
        layouts.write(folder, seed=0, pairs=6)
    return folder


@pytest.fixture(scope="session")
def tiny_vectors(tmp_path_factory: pytest.TempPathFactory, tiny: Any, pocket_data: Path) -> Path:
    """Folder with the tiny model's vectors from these pairs: multi_response-mms-{mean,last}. To be read only."""
    from iar import pairs, vectors

    folder = tmp_path_factory.mktemp("vectors")
    examples = pairs.read({"strategy": "multi_response", "path": pocket_data / "train/pairs.jsonl"})
    for tokens in ("mean", "last"):
        found = vectors.estimate(tiny, examples, tokens=tokens)
        vectors.write(folder / f"multi_response-mms-{tokens}.safetensors", found)
    return folder


@pytest.fixture
def small(tiny_folder: Path, pocket_data: Path, tiny_vectors: Path) -> list[str]:
    """Settings that make a command small: the tiny model, these data and vectors, four samples a benchmark."""
    return _small(tiny_folder, pocket_data, tiny_vectors)


def _small(tiny_folder: Path, pocket_data: Path, tiny_vectors: Path) -> list[str]:
    return [
        "model=pocket",
        f"model.path={tiny_folder}",
        "model.name=tiny",
        "model.max_new_tokens=6",
        f"data.root={pocket_data}",
        f"vectors={tiny_vectors}",
        "limit=4",
    ]


@pytest.fixture(scope="session")
def _swept(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, pocket_data: Path, tiny_vectors: Path) -> Path:
    """The run folder of a sweep of the tiny model, `small` with one steered configuration and a control: read only."""
    from iar import sweep

    folder = tmp_path_factory.mktemp("swept")
    settings = [*_small(tiny_folder, pocket_data, tiny_vectors), "layer=2", "strength=1.5", "controls=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["iar.sweep", *settings, "confirm=false", "run=r"])
        sweep.main()
    return folder / "r"


@pytest.fixture
def swept(_swept: Path, tmp_path: Path) -> Path:
    """A copy of a finished sweep in ``r``: none, iar-L2-x1.5, random-L2-x1.5-s1 on three benchmarks, with figures; its
    page left out."""
    return shutil.copytree(_swept, tmp_path / "r", ignore=shutil.ignore_patterns("report.html"))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Done]:
    """Run ``python -m iar.<name> ...`` in this process, from an empty folder: its exit code, stdout and stderr."""
    import importlib

    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", [f"iar.{name}", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            importlib.import_module(f"iar.{name}").main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def few_contrasts(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sixteen of the shipped contrasts instead of 302, for reports on gates in this process."""
    from iar.pipeline.extraction import gate_prompts

    few = tmp_path_factory.mktemp("few") / gate_prompts.CONTRASTS.name
    few.write_text("".join(gate_prompts.CONTRASTS.read_text().splitlines(keepends=True)[:16]))
    monkeypatch.setattr(gate_prompts, "CONTRASTS", few)


@pytest.fixture
def compose() -> Callable[..., Any]:
    """The settings of a command: compose("sweep", "layer=2")."""
    from iar.pipeline.experiment import settings

    return lambda config, *overrides: settings.read(settings.KINDS[config], settings.compose(config, overrides))
