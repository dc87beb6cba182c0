from __future__ import annotations

import io
import shutil

import pytest
import torch
from rich.console import Console

from iar import vectors
from iar.errors import UserError
from iar.pipeline import extraction


def test_missing_vectors_are_made_and_then_read(compose, tiny, pocket_data, tiny_vectors, tmp_path, capsys):
    cfg = compose("sweep", f"data.root={pocket_data}", f"vectors={tmp_path / 'v'}")
    made = extraction.ensure(cfg, tiny)
    assert "extracting them first" in capsys.readouterr().err
    written = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "v").iterdir()}
    assert set(written) == {"mean.safetensors", "last.safetensors"}
    again = extraction.ensure(cfg, tiny)
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "v").iterdir()} == written
    for policy in ("mean", "last"):
        assert torch.equal(made[policy].vectors, again[policy].vectors)
        expected = vectors.read(tiny_vectors / f"{policy}.safetensors", tiny)
        assert vectors.digest(again[policy]) == vectors.digest(expected)
    assert not torch.equal(made["mean"].vectors, made["last"].vectors)


def test_vectors_of_other_pairs_are_refused(compose, tiny, pocket_data, tiny_vectors, tmp_path):
    root = shutil.copytree(pocket_data, tmp_path / "pocket")
    cfg = compose("sweep", f"data.root={root}", f"vectors={tiny_vectors}")
    extraction.ensure(cfg, tiny)
    file = root / "train/pairs.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    with pytest.raises(
        UserError, match=r"was estimated on other pairs than .*pairs\.jsonl: run python -m iar\.extract"
    ):
        extraction.ensure(cfg, tiny)
    file.unlink()  # vectors from elsewhere need no pairs
    assert set(extraction.ensure(cfg, tiny)) == {"mean", "last"}


def test_a_limit_takes_the_first_pairs(compose, tiny, pocket_data, tmp_path):
    cfg = compose("extract", f"data.root={pocket_data}", f"vectors={tmp_path}")
    assert extraction.extract(cfg, tiny, limit=3)["mean"].header["n_pairs"] == "3"


def test_missing_pairs_name_the_setting(compose, tiny, tmp_path):
    with pytest.raises(UserError, match=r"no pairs file .*pairs\.jsonl: give data\.pairs=FILE"):
        extraction.extract(compose("extract", f"data.root={tmp_path}"), tiny)


def test_the_table_has_a_row_a_layer(tiny, tiny_vectors):
    found = vectors.read(tiny_vectors / "mean.safetensors", tiny)
    console = Console(file=io.StringIO(), width=100)
    console.print(extraction.table(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "mass mean shift, mean over response tokens" in text
    for title in ("layer", "norm", "mean activation norm", "separation d'"):
        assert title in text
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert len(rows) == 6
    for layer, row in enumerate(rows):
        numbers = [cell.strip() for cell in row.strip("│").split("│")]
        values = (found.vectors[layer].norm(), found.mean_norm[layer], found.separation[layer])
        assert numbers == [str(layer), *(f"{float(value):.3f}" for value in values)]
