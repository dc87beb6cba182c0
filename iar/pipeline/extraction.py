"""Vectors on disk: estimated from the pairs once, checked against model and pairs every time they are used."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.progress import Progress
from rich.table import Table

import iar.pairs
from iar import vectors
from iar.console import console
from iar.errors import UserError
from iar.models.checkpoint import LoadedModel
from iar.vectors import VectorSet
from iar.vectors.mass_mean_shift import POLICIES


def extract(cfg: DictConfig, loaded: LoadedModel, limit: int | None = None) -> dict[str, VectorSet]:
    """Estimates the vectors of both token policies in one pass over the (first `limit`) pairs and writes them."""
    pairs = iar.pairs.read(Path(cfg.data.pairs))[:limit]
    if not pairs:
        raise UserError(f"no pairs in {cfg.data.pairs}: write one JSON object a line (python -m iar.extract --help)")
    with Progress(console=console) as progress:
        task = progress.add_task(f"activations of {len(pairs)} pairs", total=2 * len(pairs))
        found = vectors.estimate(
            loaded,
            pairs,
            batch_size=min(32, cfg.batch_size),
            policies=POLICIES,
            seed=int(cfg.data.get("seed") or 0),
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for policy, vector_set in found.items():
        vectors.write(path(cfg, policy), vector_set)
    return found


def ensure(cfg: DictConfig, loaded: LoadedModel) -> dict[str, VectorSet]:
    """The vectors of the configuration, made first if they are missing.

    Raises:
        UserError: The files are of another model, damaged, or were estimated on other pairs.
    """
    if not all(path(cfg, policy).exists() for policy in POLICIES):
        console.print(f"no vectors in {cfg.vectors}: extracting them first")
        return extract(cfg, loaded)
    found = {policy: vectors.read(path(cfg, policy), loaded) for policy in POLICIES}
    if Path(cfg.data.pairs).exists():
        digest = iar.pairs.digest(iar.pairs.read(Path(cfg.data.pairs)))
        if found["mean"].header["pairs_digest"] != digest:
            raise UserError(
                f"{path(cfg, 'mean')} was estimated on other pairs than {cfg.data.pairs}: "
                f"run python -m iar.extract again, or use another folder (vectors=DIR)"
            )
    return found


def path(cfg: DictConfig, policy: str) -> Path:
    return Path(cfg.vectors) / f"{policy}.safetensors"


def table(vector_set: VectorSet) -> Table:
    """Layer, length of the vector, mean length of the activations, and d' of the two classes along it."""
    shown = Table(title=f"mass mean shift, {vector_set.header['tokens']} over response tokens")
    for column in ("layer", "norm", "mean activation norm", "separation d'"):
        shown.add_column(column, justify="right")
    for layer in range(vector_set.n_layers):
        norm = vector_set.vectors[layer].norm()
        values = (norm, vector_set.mean_norm[layer], vector_set.separation[layer])
        shown.add_row(str(layer), *(f"{float(value):.3f}" for value in values))
    return shown
