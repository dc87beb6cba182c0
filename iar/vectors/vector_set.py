"""Revision vectors of all layers and heads, with what is needed to scale, select, judge and refuse them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor
from torch.nn.functional import normalize

from iar.vectors.gates import Gates

ROUNDING = 1e-6  # of the activations' mean norm


@dataclass(frozen=True)
class HeadVectors:
    """One revision vector an attention head, at the input of the attention output projection.

    Attributes:
        vectors: (layers, heads, head_dim) float32; zero for a layer without such a projection.
        mean_norm: (layers, heads) mean L2 norm of the pooled activations over both classes.
        sigma: (layers, heads) standard deviation of the activations' projections on the unit vector.
        accuracy: (layers, heads) held-out accuracy of a linear probe, which selects the heads (ITI, arXiv 2306.03341).
    """

    vectors: Tensor
    mean_norm: Tensor
    sigma: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class VectorSet:
    """One revision vector a layer, and one a head where they were captured.

    Attributes:
        vectors: (layers, hidden) float32; mean over safe minus mean over unsafe activations (or another estimator's).
        mean_norm: (layers,) mean L2 norm of the pooled activations over both classes.
        sigma: (layers,) standard deviation of all pooled activations' projections on the unit vector.
        separation: (layers,) d' = difference of the classes' mean projections over their pooled standard deviation, on
            the pairs that the vector was estimated on.
        accuracy: (layers,) held-out accuracy of a linear probe.
        heads: The same at head level; None when only layers were captured.
        header: How the vectors were made and of which model; strings only, as in the file.
        gates: What conditional methods need besides; None where they were not made.
    """

    vectors: Tensor
    mean_norm: Tensor
    sigma: Tensor
    separation: Tensor
    accuracy: Tensor
    heads: HeadVectors | None = None
    header: dict[str, str] = field(default_factory=dict)
    gates: Gates | None = None

    @property
    def problem(self) -> str:
        """Where vectors have length 0, up to the rounding of equal sides that were read in other batches; else "".

        Steering there would be swept as if it had no effect.
        """
        empty = (self.vectors.norm(dim=1) <= ROUNDING * self.mean_norm).nonzero()[:, 0].tolist()
        if not empty:
            return ""
        where = "every layer have" if len(empty) == self.n_layers else f"layers {', '.join(map(str, empty))} have"
        return f"the vectors of {where} length 0: the sides of the pairs are alike there"

    @property
    def cosines(self) -> Tensor:
        """(layers, layers) between the vectors of two layers; 0 where one is zero."""
        unit = normalize(self.vectors, dim=1)
        return unit @ unit.T

    @property
    def n_layers(self) -> int:
        return self.vectors.shape[0]

    @property
    def hidden_size(self) -> int:
        return self.vectors.shape[1]
