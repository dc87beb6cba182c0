"""Vectors and gates at a glance: a row a layer."""

from __future__ import annotations

from rich.table import Table

from iar.vectors.vector_set import VectorSet


def layer_table(vectors: VectorSet) -> Table:
    """A row a layer: length of the vector, of the activations, their spread along it, and how well they part; of gates
    the held-out AUROC, and the share of unsafe and of benign prompts that they fire on, held out, at 0.5."""
    header = vectors.header
    table = Table(title=f"{header['pairs']}: {header['method']} over {header['tokens']}, {header['n_pairs']} pairs")
    columns = ["layer", "norm", "mean activation norm", "sigma", "d'", "probe accuracy", "cosine to next"]
    best = None
    if vectors.heads is not None:
        best = vectors.heads.accuracy.max(dim=1)
        columns.append("best head")
    fires = None
    if vectors.gates is not None:
        fires = (vectors.gates.auroc, *vectors.gates.rates())
        columns += ["gate AUROC", "fires: unsafe", "fires: benign"]
    for column in columns:
        table.add_column(column, justify="right")
    following = vectors.cosines.diagonal(1).tolist()
    for layer in range(vectors.n_layers):
        statistics = (vectors.mean_norm, vectors.sigma, vectors.separation, vectors.accuracy)
        row = [f"{float(value[layer]):.3f}" for value in (vectors.vectors.norm(dim=1), *statistics)]
        row.append(f"{following[layer]:.3f}" if layer < len(following) else "")
        if best is not None:
            row.append(f"{int(best.indices[layer])}: {float(best.values[layer]):.3f}")
        if fires is not None:
            row += [f"{float(value[layer]):.3f}" for value in fires]
        table.add_row(str(layer), *row)
    return table
