"""Vectors and gates at a glance: a row a layer."""

from __future__ import annotations

import math

import torch
from rich.table import Table
from torch import Tensor

from iar.vectors.header import IMPORTED
from iar.vectors.vector_set import VectorSet


def layer_table(vectors: VectorSet) -> Table:
    """A row a layer: length of the vector, of the activations, their spread along it, and how well they part; of gates
    the held-out AUROC, the share of unsafe and of benign prompts that they fire on, held out, at 0.5, and the AUROC on
    contrasts that they were not fitted on, where it was measured."""
    header = vectors.header
    title = f"{header['pairs']}: {header['method']} over {header['tokens']}, {header['n_pairs']} pairs"
    if IMPORTED in header:
        title = f"{header['source']}: imported ({header[IMPORTED]})"
    table = Table(title=title)
    columns = ["layer", "norm", "mean activation norm", "sigma", "d'", "probe accuracy", "cosine to next"]
    best = None
    if vectors.heads is not None:
        best = vectors.heads.accuracy.max(dim=1)
        columns.append("best head")
    fires: tuple[Tensor, ...] | None = None
    if vectors.gates is not None:
        fires = (vectors.gates.auroc, *vectors.gates.rates())
        columns += ["gate AUROC", "fires: unsafe", "fires: benign"]
        if len(contrast := _numbers(vectors.gates.header.get("gate_contrast_auroc", ""))) == vectors.n_layers:
            fires = (*fires, contrast)
            columns.append("contrasts")
    for column in columns:
        table.add_column(column, justify="right")
    following = vectors.cosines.diagonal(1).tolist()
    for layer in vectors.layers:
        statistics = (vectors.mean_norm, vectors.sigma, vectors.separation, vectors.accuracy)
        row = [_number(float(value[layer])) for value in (vectors.vectors.norm(dim=1), *statistics)]
        row.append(_number(following[layer]) if layer < len(following) else "")
        if best is not None:
            row.append(f"{int(best.indices[layer])}: {float(best.values[layer]):.3f}")
        if fires is not None:
            row += [f"{float(value[layer]):.3f}" for value in fires]
        table.add_row(str(layer), *row)
    return table


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _numbers(text: str) -> Tensor:
    try:
        return torch.tensor([float(word) for word in text.split()])
    except ValueError:  # a header is only text
        return torch.empty(0)
