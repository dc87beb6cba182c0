"""What a vector file holds, at a glance: where safe and unsafe activations can be told apart, and how alike the layers'
vectors are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from iar.plots.style import COLOURS, HEIGHT, STYLE, WIDTH, heading, legend_below, save
from iar.records import csv_file

BAR: dict[str, Any] = {"orientation": "horizontal", "fraction": 0.08, "aspect": 22}


def vector_figure(
    accuracy: np.ndarray, cosines: np.ndarray, heads: np.ndarray | None, stem: Path, title: str = ""
) -> list[Path]:
    """Draw held-out probe accuracy by layer and by head, and the cosines between layers, as PNG, PDF and CSV.

    Args:
        accuracy: (layers,) from 0 to 1.
        cosines: (layers, layers) between the vectors.
        heads: (layers, heads) accuracies, or None.
        stem: Where to write; a suffix .png or .pdf is taken off.

    Raises:
        UserError: The files cannot be written.
    """
    if stem.suffix in (".png", ".pdf"):
        stem = stem.with_suffix("")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT + 1), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        heading(figure, title)
        panels = figure.subplot_mosaic(
            [["curve", "curve"], ["heads", "cosines"] if heads is not None else ["cosines"] * 2]
        )
        _curve(panels["curve"], accuracy, heads)
        if heads is not None:
            image = panels["heads"].imshow(
                100 * heads.T, aspect="auto", origin="lower", cmap="cividis", vmin=50, vmax=100, interpolation="nearest"
            )
            panels["heads"].set_yticks(range(0, heads.shape[1], max(1, heads.shape[1] // 8)))
            panels["heads"].set(xlabel="layer", ylabel="head")
            figure.colorbar(image, ax=panels["heads"], label="probe accuracy (%)", **BAR)
        image = panels["cosines"].imshow(cosines, origin="lower", cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
        panels["cosines"].set(xlabel="layer", ylabel="layer")
        figure.colorbar(image, ax=panels["cosines"], label="cosine of the vectors", **BAR)
        legend_below(figure, panels["curve"].get_legend_handles_labels()[0])
        return [*save(figure, stem), _write(stem, accuracy, cosines, heads)]


def _write(stem: Path, accuracy: np.ndarray, cosines: np.ndarray, heads: np.ndarray | None) -> Path:
    """The numbers drawn: quantity, layer, other (the head, or the other layer; blank for a layer's accuracy), value."""
    rows: list[tuple[str, int, object, float]] = [("accuracy", k, "", float(v)) for k, v in enumerate(accuracy)]
    for name, values in (("head accuracy", heads), ("cosine", cosines)):
        rows += [] if values is None else [(name, i, j, float(v)) for (i, j), v in np.ndenumerate(values)]
    file = stem.parent / f"{stem.name}.csv"
    table = pd.DataFrame(rows, columns=["quantity", "layer", "other", "value"])
    return csv_file.write(file, table, "%.6g")


def _curve(axes: Axes, accuracy: np.ndarray, heads: np.ndarray | None) -> None:
    axes.plot(range(len(accuracy)), 100 * accuracy, marker="o", ms=2.5, lw=0.8, color=COLOURS[0], label="layer")
    if heads is not None:
        best = 100 * heads.max(axis=1)
        axes.plot(range(len(best)), best, marker="s", ms=2.2, lw=0.8, ls="--", color=COLOURS[1], label="best head")
    axes.axhline(50, color="0.6", lw=0.6, ls=":", label="chance")
    axes.set(xlabel="layer", ylabel="probe accuracy (%)")
    axes.spines[["top", "right"]].set_visible(False)
