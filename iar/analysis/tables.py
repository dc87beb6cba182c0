"""What an analysis shows at its end: a table a part, the chosen layers only where all would be too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from rich.table import Table

from iar.analysis.agreement import Agreement


def separability(table: pd.DataFrame, title: str) -> Table:
    """A row a layer: held-out accuracy with its interval, d', and the best head."""
    heads = "best_head" in table
    shown = _table(title, "layer", "accuracy (%)", "95 %", "d'", *(["best head (%)", "by chance"] if heads else []))
    for row in table.to_dict("records"):
        interval = f"{100 * row['low']:.0f} to {100 * row['high']:.0f}"
        cells = [str(row["layer"]), f"{100 * row['accuracy']:.1f}", interval, f"{row['d_prime']:.2f}"]
        if heads:
            best = f"{row['best_head']}: {100 * row['best_head_accuracy']:.1f}"
            cells += [best, f"{100 * row['chance_best']:.1f}"]
        shown.add_row(*cells)
    return shown


def norms(table: pd.DataFrame, layers: Sequence[int], title: str) -> Table:
    """The chosen layers: norms, and what the strength is of them."""
    push = f"strength {table['strength'].iloc[0]:g}"
    shown = _table(
        title, "layer", "|v|", "last token |h|", "pooled |h|", f"{push}: % of last token", "% of pooled", "in σ"
    )
    for row in table[table["layer"].isin(layers)].to_dict("records"):
        lengths = [f"{row[name]:.3g}" for name in ("vector_norm", "token_norm", "pooled_norm")]
        shares = [f"{100 * row['share']:.1f}", f"{100 * row['pooled_share']:.1f}", f"{row['sigmas']:.2f}"]
        shown.add_row(str(row["layer"]), *lengths, *shares)
    return shown


def agreement(found: Agreement, layers: Sequence[int], title: str) -> Table:
    """The chosen layers: cosines of halves within and between categories, and the lowest corrected cosine."""
    shown = _table(title, "layer", "within", "between", "gap (95 %)", "lowest corrected")
    for row in found.layers[found.layers["layer"].isin(layers)].to_dict("records"):
        pairs = found.cosines[found.cosines["layer"] == row["layer"]].dropna(subset=["corrected"])
        lowest = "not measurable"
        if not pairs.empty:
            pair = pairs.loc[pairs["corrected"].idxmin()]
            lowest = f"{pair['corrected']:.2f} ({pair['a']}, {pair['b']})"
        gap = f"{row['gap']:.2f} ({row['gap_low']:.2f} to {row['gap_high']:.2f})"
        shown.add_row(str(row["layer"]), f"{row['within']:.2f}", f"{row['between']:.2f}", gap, lowest)
    return shown


def attention(table: pd.DataFrame, labels: Mapping[str, str], layers: Sequence[int], title: str) -> Table:
    """The chosen layers: each mode's share of attention in percent, and its correlation with safety."""
    columns = [f"layer {layer}: %, r" for layer in layers]
    shown = _table(title, "queries", "mode", "even %", *columns)
    for query in dict.fromkeys(table["query"]):
        for mode, label in labels.items():
            rows = table[(table["query"] == query) & (table["mode"] == mode)].set_index("layer")
            if rows.empty:
                continue
            cells = [
                f"{100 * rows.loc[layer, 'share']:.1f}, {rows.loc[layer, 'correlation']:+.2f} "
                f"({rows.loc[layer, 'correlation_low']:+.2f} to {rows.loc[layer, 'correlation_high']:+.2f})"
                for layer in layers
            ]
            shown.add_row(query, label, f"{100 * rows['even'].iloc[0]:.1f}", *cells)
    return shown


def modality(shifts: pd.DataFrame, labels: Mapping[str, str], layers: Sequence[int], title: str) -> Table:
    """The chosen layers: each mode's shift in sigmas ± half the 95 % interval, which way where that leaves out 0."""
    shown = _table(title, "queries", "mode", *(f"layer {layer}: σ" for layer in layers))
    for query in dict.fromkeys(shifts["query"]):
        for mode, label in labels.items():
            rows = shifts[(shifts["query"] == query) & (shifts["mode"] == mode)].set_index("layer")
            if rows.empty:
                continue
            chosen = [rows.loc[layer] for layer in layers]
            cells = [f"{r['shift']:+.2f} ± {r['high'] - r['shift']:.2f} {r['towards']}".strip() for r in chosen]
            shown.add_row(str(query), label, *cells)
    return shown


def _table(title: str, *columns: str) -> Table:
    shown = Table(title=title)
    for column in columns:
        shown.add_column(column, justify="right", no_wrap=column in ("layer", "mode"))
    return shown
