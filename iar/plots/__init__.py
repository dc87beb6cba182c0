"""Figures drawn from tables that earlier stages made; nothing is computed here."""

from iar.plots.agreement import agreement_matrices
from iar.plots.dumbbells import dumbbells
from iar.plots.frontier import frontier
from iar.plots.heatmap import heat_maps
from iar.plots.modality import attention_curves, origin_curves, shift_curves
from iar.plots.probes import vector_figure
from iar.plots.separability import component_scatter, norm_curves, separability_curves

__all__ = [
    "agreement_matrices",
    "attention_curves",
    "component_scatter",
    "dumbbells",
    "frontier",
    "heat_maps",
    "norm_curves",
    "origin_curves",
    "separability_curves",
    "shift_curves",
    "vector_figure",
]
