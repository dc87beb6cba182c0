"""The regions of the plane of SRA_s and SRA_u in which the paper speaks of an undersafe or an oversafe model."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from benchmark.vscbench import OVERSAFE, UNDERSAFE

COLOURS = {"undersafe": "#F6D9C6", "oversafe": "#CFE3F1"}  # light tints of two of the palette's colours


def shade(axes: Axes, across: str, named: bool = True, corner: tuple[float, float] = (0.0, 0.0)) -> list[Text]:
    """Shade both, in percent.

    Args:
        across: The score to the right, ``SRA_u`` or ``SRA_s``; the other is upwards.
        named: Whether their names are written in them.
        corner: Where the picture begins: what lies below it to the left is not seen.

    Returns:
        The names as drawn.
    """
    (under_s, under_u), (over_s, over_u) = UNDERSAFE, OVERSAFE
    spans = {
        "undersafe": {"SRA_s": (100 * under_s, 100), "SRA_u": (0, 100 * under_u)},
        "oversafe": {"SRA_s": (0, 100 * over_s), "SRA_u": (100 * over_u, 100)},
    }
    up = "SRA_s" if across == "SRA_u" else "SRA_u"
    texts = []
    for name, span in spans.items():
        (left, right), (low, high) = span[across], span[up]
        left, low = max(left, corner[0]), max(low, corner[1])
        colour = COLOURS[name]
        axes.add_patch(Rectangle((left, low), right - left, high - low, color=colour, lw=0, zorder=-1))
        if named:
            style: dict[str, Any] = dict(color="0.35", style="italic", size=6.5, clip_on=True, zorder=1)
            if high - low < 20 and left - corner[0] > 20:  # too small for it, with room beside it
                text = axes.text(left - 2, (low + high) / 2, name, ha="right", va="center", **style)
            elif high - low > right - left:  # at the far end of the region: points lie closer to the other
                text = axes.text((left + right) / 2, low + 2, name, ha="center", va="bottom", rotation=90, **style)
            else:
                text = axes.text(left + 2, (low + high) / 2, name, ha="left", va="center", **style)
            texts.append(text)
    return texts
