"""Figures of `iar.analysis.modality`: the shift over layers, and the blocks that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iar.plots.style import COLOURS, LINES, MARKERS, STYLE, WIDTH, heading, legend_below, save


def shift_curves(tables: Mapping[str, pd.DataFrame], labels: Mapping[str, str], stem: Path, title: str) -> list[Path]:
    """Draw each mode's shift over layers with 95 % bands, unsafe queries beside safe ones.

    Args:
        tables: By what the shift is from (a row of panels each): rows of `iar.analysis.modality.modality_shift`.
        labels: Name of each mode in the legend, in its order; modes that are not there are left out.

    Raises:
        UserError: The files cannot be written.
    """
    queries = list(dict.fromkeys(query for table in tables.values() for query in table["query"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6 + 1.65 * len(tables)), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(tables), len(queries), sharex=True, sharey="row", squeeze=False)
        for row, (what, table) in zip(panels, tables.items(), strict=True):
            for panel, query in zip(row, queries, strict=True):
                part = table[table["query"] == query]
                _curves(panel, part, labels, "shift")
                if panel in panels[0]:
                    panel.set_title(f"{query} queries ({part['rows'].max()} rows)")
            row[0].set_ylabel(f"{what}\n(σ of text)", fontsize=STYLE["font.size"] - 1)
        for panel in panels[-1]:
            panel.set_xlabel("layer")
        _finish(figure, panels[0][0], title)
        return save(figure, stem)


def origin_curves(table: pd.DataFrame, labels: Mapping[str, str], stem: Path, title: str) -> list[Path]:
    """Draw what each block adds to the shift, a row of panels a direction, unsafe queries beside safe ones.

    Args:
        table: Rows of `iar.analysis.modality.modality_origin`.
        labels: As for `shift_curves`.

    Raises:
        UserError: The files cannot be written.
    """
    queries, along = list(dict.fromkeys(table["query"])), list(dict.fromkeys(table["along"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6 + 1.1 * len(along)), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(along), len(queries), sharex=True, sharey="row", squeeze=False)
        for row, layer in zip(panels, along, strict=True):
            for panel, query in zip(row, queries, strict=True):
                part = table[(table["along"] == layer) & (table["query"] == query)]
                _curves(panel, part, labels, "increment")
                if layer == along[0]:
                    panel.set_title(f"{query} queries ({part['rows'].max()} rows)")
            row[0].set_ylabel(f"to layer {layer} (σ)")
        for panel in panels[-1]:
            panel.set_xlabel("block (0: with embeddings)")
        _finish(figure, panels[0][0], title)
        return save(figure, stem)


def attention_curves(table: pd.DataFrame, labels: Mapping[str, str], stem: Path, title: str) -> list[Path]:
    """Draw each mode's share of attention over layers, and below it its correlation with safety, with 95 % bands.

    Args:
        table: Rows of `iar.analysis.attention.attention`.
        labels: As for `shift_curves`.

    Raises:
        UserError: The files cannot be written.
    """
    queries = list(dict.fromkeys(table["query"]))
    lower = table.drop(columns=["low", "high"]).rename(columns={"correlation_low": "low", "correlation_high": "high"})
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.6), dpi=300, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(2, len(queries), sharex=True, sharey="row", squeeze=False)
        for place, query in enumerate(queries):
            part = table[table["query"] == query]
            _curves(panels[0][place], part, labels, "share")
            _curves(panels[1][place], lower[lower["query"] == query], labels, "correlation")
            panels[0][place].set_title(f"{query} queries ({part['rows'].max()} rows)")
            panels[1][place].set_xlabel("layer")
        panels[0][0].set_ylabel("attention to the image")
        panels[1][0].set_ylabel("correlation with\nsafety")
        _finish(figure, panels[0][0], title)
        return save(figure, stem)


def _curves(panel: Axes, part: pd.DataFrame, labels: Mapping[str, str], column: str) -> None:
    for number, (mode, label) in enumerate(labels.items()):
        line = part[part["mode"] == mode]
        if line.empty:
            continue
        colour = COLOURS[number % len(COLOURS)]
        style: dict[str, Any] = dict(marker=MARKERS[number % len(MARKERS)], ls=LINES[number % len(LINES)])
        panel.fill_between(line["layer"], line["low"], line["high"], color=colour, alpha=0.12, lw=0)
        panel.plot(line["layer"], line[column], color=colour, lw=0.7, ms=1.6, label=label, **style)
    panel.axhline(0, color="0.6", lw=0.6, ls=":")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.spines[["top", "right"]].set_visible(False)


def _finish(figure: Figure, panel: Axes, title: str) -> None:
    legend_below(figure, panel.get_legend_handles_labels()[0], most=3)
    heading(figure, title)
