"""``python -m iar.vectors``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from iar.models import LoadedModel
from iar.pairs import Example
from iar.vectors import Gates, VectorSet, __main__, collect, estimate, file, partial
from iar.vectors.header import header


@pytest.fixture
def vectors(tiny: LoadedModel, examples: list[Example]) -> VectorSet:
    return estimate(tiny, examples)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["iar.vectors", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        code = 0
        try:
            __main__.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return (code, *capsys.readouterr())

    return call


def test_inspect(run: Callable[..., tuple[int, str, str]], vectors: VectorSet, tmp_path: Path) -> None:
    file.write(tmp_path / "v.safetensors", vectors)
    code, out, _ = run("inspect", tmp_path / "v.safetensors", "--figure", tmp_path / "probes.png")
    assert code == 0
    assert "pairs_digest" in out and "multi_response: mms over mean, 5 pairs" in out
    row = next(line for line in out.splitlines() if line.startswith("│     3 │"))
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[1] == f"{vectors.vectors[3].norm():.3f}"
    assert cells[5] == f"{vectors.accuracy[3]:.3f}"
    assert (tmp_path / "probes.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "probes.pdf").exists()


def test_inspect_shows_gates(run: Callable[..., tuple[int, str, str]], vectors: VectorSet, tmp_path: Path) -> None:
    wide = dict.fromkeys(("weight", "benign_mean", "response_mean", "risk"), vectors.vectors)
    of_layers = dict.fromkeys(("bias", "auroc", "rate"), vectors.accuracy)
    scores = torch.tensor([[0.9, 0.6, 0.1, 0.2, 0.7]]).expand(6, 5)
    header = {"gate_unsafe": "2", "gate_benign": "3", "gate_categories": "[]"}
    empty = {name: torch.zeros(0, 6, 32) for name in ("category_weight", "category_vectors")}
    gates = Gates(
        **wide, **of_layers, **empty, category_bias=torch.zeros(0, 6), categories=(), header=header, scores=scores
    )
    file.write(tmp_path / "v.safetensors", replace(vectors, gates=gates))
    code, out, _ = run("inspect", tmp_path / "v.safetensors")
    assert code == 0 and "gate_unsafe            2" in out
    row = next(line for line in out.splitlines() if line.startswith("│     3 │"))
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[-3:] == [f"{vectors.accuracy[3]:.3f}", "1.000", "0.333"]
    file.write(tmp_path / "w.safetensors", replace(vectors, gates=replace(gates, weight=-gates.weight)))
    code, out, _ = run("diff", tmp_path / "v.safetensors", tmp_path / "w.safetensors")
    assert code == 0 and "gates: cosine -1.0000 to -1.0000, mean -1.0000" in out


def test_diff(run: Callable[..., tuple[int, str, str]], vectors: VectorSet, tmp_path: Path) -> None:
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    file.write(a, vectors)
    file.write(b, replace(vectors, vectors=-2 * vectors.vectors, header=vectors.header | {"seed": "9"}))
    code, out, _ = run("diff", a, b)
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("│ 0 "))
    assert [cell.strip() for cell in row.strip("│").split("│")][1:3] == ["-1.000000", "2.0000"]
    assert any("seed" in line and "9" in line for line in out.splitlines())
    assert "head level: cosine 1.0000 to 1.0000" in out
    file.write(b, replace(vectors, vectors=vectors.vectors[:, :16]))
    code, _, err = run("diff", a, b)
    assert code == 2 and "6 layers of 32" in err and "6 layers of 16" in err


def test_merge(
    run: Callable[..., tuple[int, str, str]], tiny: LoadedModel, examples: list[Example], tmp_path: Path
) -> None:
    for k in range(2):
        statistics = collect(tiny, partial.share(examples, k, 2))["mean"]
        partial.write(tmp_path / f"{k}.safetensors", statistics, header(tiny, examples), k, 2)
    out = tmp_path / "whole.safetensors"
    code, shown, _ = run("merge", tmp_path / "0.safetensors", tmp_path / "1.safetensors", "--out", out)
    assert (code, shown.strip()) == (0, str(out))
    assert file.read(out, tiny).header["n_pairs"] == "5"
    code, _, err = run("merge", out, "--out", out)
    assert code == 2 and err.startswith("error: ") and "is not a part of an extraction" in err and err.count("\n") == 1
