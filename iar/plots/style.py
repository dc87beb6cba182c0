"""How every figure looks, and how it is written: the same content gives the same bytes.

A figure is drawn at the size it is printed, one column of a journal (8.5 cm); its letters are 5.5 to 8 points there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from iar.errors import UserError

# Okabe and Ito's palette without its yellow, which vanishes on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
FAMILIES = (
    *zip(COLOURS, MARKERS[:6], strict=True),
    ("#332288", "X"),
    ("#6B3A1E", ">"),
)  # colour, marker: eight methods
# Worse than the baseline, as it, better: told apart by people who do not see red or green.
CHANGES = ("#9C4A00", "#E9A86B", "#F7F7F7", "#74B3DB", "#00568A")
CHANGE = LinearSegmentedColormap.from_list("change", CHANGES)
STYLE: dict[Any, Any] = {
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 6.5,
    "figure.autolayout": False,  # whatever the user's own settings are: `save` lays out once
    "figure.constrained_layout.use": False,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters, and so the same bytes, everywhere
}
WIDTH, HEIGHT = 8.5 / 2.54, 7.2 / 2.54  # inches
SMALL = 5.5  # points; nothing is smaller
NOTE = 74  # letters of a note's line
MARGIN = 0.04  # inches between a title or legend and the figure's edge


def heading(figure: Figure, text: str) -> None:
    """The figure's title, broken where a line would leave the figure; a dollar sign is a dollar sign."""
    if not text.strip():
        return
    note = figure.suptitle("", fontsize=STYLE["axes.titlesize"], parse_math=False)
    renderer = FigureCanvasAgg(figure).get_renderer()
    room = figure.bbox.width - 2 * MARGIN * figure.dpi

    def fits(line: str) -> bool:
        note.set_text(line)
        return bool(note.get_window_extent(renderer).width <= room)

    lines: list[str] = []
    for paragraph in text.strip().split("\n"):
        line = ""
        for word in paragraph.split():
            if line and not fits(f"{line} {word}"):
                lines.append(line)
                line = ""
            line = f"{line} {word}".strip()
            while len(line) > 1 and not fits(line):  # a word that is wider than the figure
                cut = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or fits(line[:n]))
                lines.append(line[:cut])
                line = line[cut:]
        lines.append(line)
    note.set_text("\n".join(lines))


def legend_below(figure: Figure, handles: Sequence[Artist], most: int = 4, note: str = "", **options: Any) -> Legend:
    """One legend below everything, in as many columns as fit the width; the figure grows by its height.

    Args:
        handles: In reading order, each with its label.
        most: No more columns than this.
        note: A sentence above it, in small letters.
        options: For matplotlib's legend.
    """
    style: dict[str, Any] = {
        "handlelength": 2.2,
        "columnspacing": 1.2,
        "handletextpad": 0.5,
        "borderpad": 0.0,
        "borderaxespad": 0.3,
    }
    if note:
        style |= {"title": "\n".join(wrap(note, NOTE)), "title_fontsize": SMALL}
    renderer = FigureCanvasAgg(figure).get_renderer()
    for columns in range(min(most, len(handles)), 0, -1):
        legend = figure.legend(
            handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, **(style | options)
        )
        box = legend.get_window_extent(renderer)
        if columns == 1 or box.width <= figure.bbox.width - 2 * MARGIN * figure.dpi:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + box.height / figure.dpi)
    return legend


def lay_out(figure: Figure) -> None:
    """Give everything its place, if the figure has a layout engine, without drawing it."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def save(figure: Figure, stem: Path, suffixes: tuple[str, ...] = ("png", "pdf")) -> list[Path]:
    """Write the figure as ``stem.png`` (300 dpi) and ``stem.pdf`` without times and versions; the files written.

    Raises:
        UserError: They cannot be written.
    """
    metadata = {"png": {"Software": None}, "pdf": {"Creator": None, "Producer": None, "CreationDate": None}}
    files = []
    lay_out(figure)
    figure.set_layout_engine(None)  # laid out once: both files have everything at the same place, and draw it once
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for suffix in suffixes:
            file = stem.parent / f"{stem.name}.{suffix}"
            figure.savefig(file, dpi=300, metadata=metadata[suffix])
            files.append(file)
    except OSError as error:
        raise UserError(
            f"cannot write the figure {stem}: {error.strerror or error}; choose a writable folder"
        ) from error
    return files
