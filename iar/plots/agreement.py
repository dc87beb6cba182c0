"""Figure of `iar.analysis.agreement`: cosines within and between categories over layers, and matrices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iar.plots.style import COLOURS, LINES, SMALL, STYLE, WIDTH, heading, legend_below, save

_COLUMNS = 2
_CELLS = 6  # up to so many categories, the numbers are written into the cells


def agreement_matrices(
    cosines: pd.DataFrame, curves: pd.DataFrame, layers: Sequence[int], stem: Path, title: str
) -> list[Path]:
    """Draw the curves over all layers, and the matrices of split-half cosines at the chosen ones and over all.

    Args:
        cosines, curves: The two tables of `iar.analysis.agreement.Agreement`.
        layers: Whose matrices are drawn.

    Raises:
        UserError: The files cannot be written.
    """
    names = list(dict.fromkeys(cosines["a"]))
    matrices = [(f"layer {layer}", _matrix(cosines[cosines["layer"] == layer], names)) for layer in layers]
    matrices.append(("mean of all layers", _matrix(cosines.groupby(["a", "b"])["halves"].mean().reset_index(), names)))
    rows = -(-len(matrices) // _COLUMNS)
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(WIDTH, 2.2 + 1.5 * rows + 0.1 * max(map(len, names)) / 2), dpi=300, layout="constrained"
        )
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(rows + 1, _COLUMNS, height_ratios=(1, *[1] * rows))
        top = figure.add_subplot(grid[0, :])
        styles = {"within": "within a category", "between": "between categories"}
        for number, (name, label) in enumerate(styles.items()):
            colour = COLOURS[number]
            top.fill_between(
                curves["layer"], curves[f"{name}_low"], curves[f"{name}_high"], color=colour, alpha=0.15, lw=0
            )
            top.plot(
                curves["layer"], curves[name], marker="os"[number], ms=2.5, lw=0.8, ls=LINES[number], color=colour,
                label=f"{label} (95 %)",
            )  # fmt: skip
        top.axhline(0, color="0.6", lw=0.6, ls=":")
        top.set_ylabel("cosine of halves")
        top.set_xlabel("layer")
        top.xaxis.set_major_locator(MaxNLocator(integer=True))
        top.set_ylim(min(-0.1, float(curves["between_low"].min())), 1.05)
        top.spines[["top", "right"]].set_visible(False)
        panels = []
        for number, (name, matrix) in enumerate(matrices):
            panel = figure.add_subplot(grid[1 + number // _COLUMNS, number % _COLUMNS])
            image = panel.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
            panel.set_title(name)
            first, last = number % _COLUMNS == 0, number // _COLUMNS == rows - 1
            panel.set_yticks(range(len(names)), names if first else [""] * len(names))
            panel.set_xticks(range(len(names)), names if last else [""] * len(names), rotation=90)
            panel.tick_params(length=0, labelsize=STYLE["xtick.labelsize"] if len(names) <= _CELLS else SMALL)
            if len(names) <= _CELLS:
                for (y, x), value in np.ndenumerate(matrix):
                    shade = "white" if abs(value) > 0.6 else "black"
                    panel.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=SMALL, color=shade)
            panels.append(panel)
        figure.colorbar(image, ax=panels, label="cosine of halves", orientation="horizontal", fraction=0.04, aspect=38)
        heading(figure, title)
        legend_below(figure, top.get_legend_handles_labels()[0])
        return save(figure, stem)


def _matrix(rows: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Symmetric (categories, categories)."""
    matrix = np.full((len(names), len(names)), np.nan)
    for a, b, value in rows[["a", "b", "halves"]].itertuples(index=False):
        i, j = names.index(a), names.index(b)
        matrix[i, j] = matrix[j, i] = value
    return matrix
