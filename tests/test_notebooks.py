"""Every notebook runs from an empty folder and says what its committed outputs say (`tests.notebook_runner`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebook_runner import NOTEBOOKS, clean, kernel, texts

NAMES = ["01_quick_start", "02_layer_and_strength", "03_own_model_and_pairs"]
_PLACE = re.compile(r"(?<![\w:/.])/(home|root|tmp|work|usr|Users|var|mnt)/|0x[0-9a-f]{6,}|\.venv|site-packages")


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def run(place: Path) -> Iterator[Callable[[Path], Any]]:
    """One kernel for all: only the first loads the libraries."""
    with kernel(place) as running:
        yield running


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_says_what_it_says(path: Path, run: Callable[[Path], Any], place: Path):
    committed: Any = nbformat.read(path, as_version=4)
    assert texts(run(path)) == texts(committed)
    assert sum(map(len, texts(committed))) >= 4
    # Written into a temporary folder of its own, not into the folder it was opened in.
    assert {entry.name for entry in place.iterdir()} == {"ipython", "temporary"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_what_is_committed(path: Path):
    """Small, clean, executed from the first cell to the last, and free of this or that machine."""
    notebook: Any = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size < 200_000
    text = path.read_text(encoding="utf-8")
    assert nbformat.writes(clean(notebook)).rstrip("\n") == text.rstrip("\n")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    told = "\n".join(part for parts in texts(notebook) for part in parts)
    assert not _PLACE.search(told) and not _PLACE.search("\n".join(cell.source for cell in notebook.cells))
    assert notebook.cells[0].cell_type == notebook.cells[-1].cell_type == "markdown"
    assert "## What this does not show" in notebook.cells[-1].source
