"""Revision vectors of all layers, with what is needed to scale, judge and refuse them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class VectorSet:
    """One revision vector a layer.

    Attributes:
        vectors: (layers, hidden) float32; mean over safe minus mean over unsafe activations.
        mean_norm: (layers,) mean L2 norm of the pooled activations over both classes.
        sigma: (layers,) standard deviation of all pooled activations' projections on the unit vector.
        separation: (layers,) d' = difference of the classes' mean projections over their pooled standard deviation.
        header: How the vectors were made and of which model; strings only, as in the file.
    """

    vectors: Tensor
    mean_norm: Tensor
    sigma: Tensor
    separation: Tensor
    header: dict[str, str] = field(default_factory=dict)

    @property
    def n_layers(self) -> int:
        return self.vectors.shape[0]

    @property
    def hidden_size(self) -> int:
        return self.vectors.shape[1]
