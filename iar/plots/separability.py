"""Figures of `iar.analysis.separability` and `iar.analysis.norms`: curves over layers, and principal components."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iar.plots.style import COLOURS, HEIGHT, STYLE, WIDTH, heading, legend_below, save

SAFE, UNSAFE = COLOURS[0], COLOURS[1]


def separability_curves(table: pd.DataFrame, stem: Path, title: str = "") -> list[Path]:
    """Draw held-out probe accuracy and d' over layers; where heads were read, the best head beside what chance gives.

    Args:
        table: From `iar.analysis.separability.separability`.

    Raises:
        UserError: The files cannot be written.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        layers = table["layer"]
        top.fill_between(layers, 100 * table["low"], 100 * table["high"], color=COLOURS[0], alpha=0.15, lw=0)
        top.plot(layers, 100 * table["accuracy"], marker="o", ms=2.5, lw=0.8, color=COLOURS[0], label="layer (95 %)")
        if "best_head_accuracy" in table:
            best, chance = 100 * table["best_head_accuracy"], 100 * table["chance_best"]
            top.plot(
                layers, best, marker="s", ms=2.5, lw=0.9, ls="--", color=COLOURS[1], label="best head of the layer"
            )
            top.plot(layers, chance, lw=0.7, ls=":", color=COLOURS[1], label="best head by chance (95 %)")
        top.axhline(50, color="0.6", lw=0.6, ls=":", label="chance")
        top.set_ylabel("held-out accuracy (%)")
        heading(figure, title)
        top.set_ylim(min(35, 100 * table["low"].min() - 3), 102)
        bottom.plot(layers, table["d_prime"], marker="o", ms=2.5, lw=0.8, color=COLOURS[0])
        bottom.axhline(0, color="0.6", lw=0.6, ls=":")
        bottom.set_ylabel("held-out d'")
        _layer_axis(bottom, top)
        legend_below(figure, _handles(top))
        return save(figure, stem)


def norm_curves(table: pd.DataFrame, stem: Path, title: str = "") -> list[Path]:
    """Draw the norms of vector and activations (log scale), and what a push of the table's strength is of the latter.

    Args:
        table: From `iar.analysis.norms.norms`.

    Raises:
        UserError: The files cannot be written.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        curves = (
            ("token_norm", "activation, prompt's last token", COLOURS[2], "^", "-"),
            ("pooled_norm", "activation, pooled as for the vector", COLOURS[5], "s", "--"),
            ("vector_norm", "revision vector", COLOURS[0], "o", "-"),
        )
        for column, label, colour, marker, line in curves:
            top.plot(table["layer"], table[column], marker=marker, ms=2.5, lw=0.8, ls=line, color=colour, label=label)
        top.set_yscale("log")
        top.set_ylabel("mean L2 norm")
        heading(figure, title)
        strength = f"{table['strength'].iloc[0]:g}"
        for column, of, colour, marker, line in (
            ("share", "last token's", COLOURS[2], "^", "-"),
            ("pooled_share", "pooled", COLOURS[5], "s", "--"),
        ):
            label = f"of the {of} norm"
            bottom.plot(
                table["layer"], 100 * table[column], marker=marker, ms=2.5, lw=0.8, ls=line, color=colour, label=label
            )
        bottom.set_ylim(bottom=0)
        bottom.set_ylabel(f"push of strength\n{strength} (% of norm)")
        _layer_axis(bottom, top)
        legend_below(figure, _handles(top), most=2)
        return save(figure, stem)


def component_scatter(points: pd.DataFrame, stem: Path, title: str = "") -> list[Path]:
    """Draw safe and unsafe activations in the plane of their first two principal components, a panel a layer.

    Args:
        points: From `iar.analysis.separability.principal_components`.

    Raises:
        UserError: The files cannot be written.
    """
    layers = points["layer"].unique()
    columns = min(2, len(layers))
    rows = -(-len(layers) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.35 + rows * WIDTH / 2 * 0.85), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for panel, layer in zip(panels, layers, strict=False):
            part = points[points["layer"] == layer]
            for safe, colour, marker in ((False, UNSAFE, "s"), (True, SAFE, "o")):
                side = part[part["safe"] == safe]
                name = "safe" if safe else "unsafe"
                panel.scatter(
                    side["pc1"], side["pc2"], s=6, marker=marker, color=colour, alpha=0.5, linewidths=0, label=name
                )
            first, second = part["explained1"].iloc[0], part["explained2"].iloc[0]
            panel.set_title(f"layer {layer}")
            panel.set_xlabel(f"PC1 ({100 * first:.0f} % of variance)")
            panel.set_ylabel(f"PC2 ({100 * second:.0f} %)")
            panel.spines[["top", "right"]].set_visible(False)
        for panel in panels[len(layers) :]:
            panel.set_visible(False)
        legend_below(figure, _handles(panels[0]))
        heading(figure, title)
        return save(figure, stem)


def _handles(panel: Axes) -> list[Artist]:
    return list(panel.get_legend_handles_labels()[0])


def _layer_axis(bottom: Axes, *others: Axes) -> None:
    bottom.set_xlabel("layer")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in (bottom, *others):
        panel.spines[["top", "right"]].set_visible(False)
