from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from iar.plots import vector_figure

ACCURACY = np.linspace(0.5, 1, 6)
HEADS = np.linspace(0.4, 0.9, 24).reshape(6, 4)
COSINES = np.eye(6)


def test_files_are_the_same_bytes_again(tmp_path: Path) -> None:
    files = [vector_figure(ACCURACY, COSINES, HEADS, tmp_path / name / "v.png", "a title") for name in "ab"]
    assert [path.name for path in files[0]] == ["v.png", "v.pdf", "v.csv"]
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
    with Image.open(files[0][0]) as image:
        assert abs(image.width / 300 * 2.54 - 8.5) < 0.05  # centimetres


@pytest.mark.parametrize("heads", [HEADS, None])
def test_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check_texts, heads: np.ndarray | None) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr("iar.plots.probes.save", lambda figure, stem: drawn.append(figure) or [])
    vector_figure(ACCURACY, COSINES, heads, tmp_path / "v")
    curve, *maps = [axes for axes in drawn[0].axes if axes.get_label() != "<colorbar>"]
    lines = {str(line.get_label()): line.get_ydata() for line in curve.lines}
    assert np.allclose(lines["layer"], 100 * ACCURACY)
    assert len(maps) == (1 if heads is None else 2)
    if heads is not None:
        assert np.allclose(lines["best head"], 100 * heads.max(1))
        assert np.allclose(maps[0].images[0].get_array(), 100 * heads.T)
    assert np.allclose(maps[-1].images[0].get_array(), COSINES)
    table = pd.read_csv(tmp_path / "v.csv")
    assert table.groupby("quantity")["value"].sum().to_dict() == pytest.approx(
        {"accuracy": 4.5, "cosine": 6} | ({} if heads is None else {"head accuracy": HEADS.sum()})
    )
    assert "cosine of the vectors" in check_texts(drawn[0])
