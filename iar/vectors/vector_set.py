"""Revision vectors of all layers and heads, with what is needed to scale, select, judge and refuse them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor
from torch.nn.functional import normalize

from iar.errors import UserError
from iar.vectors.gates import Gates

ROUNDING = 1e-6  # of the activations' mean norm


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        layers, heads, width = self.vectors.shape
        return f"HeadVectors({layers} layers x {heads} heads of {width})"


@dataclass(frozen=True, repr=False)
class VectorSet:
    """One revision vector a layer, and one a head where they were captured.

    Of vectors that another library made (`iar.vectors.foreign`) some layers may have none, and nothing is known of the
    activations: NaN stands for both here, and neither is in the file.

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

    def __getitem__(self, layer: int) -> Tensor:
        """(hidden,) the vector of a layer, counted from 0.

        Raises:
            IndexError: There is no such layer.
            UserError: The layer has no vector.
        """
        if not 0 <= layer < self.n_layers:
            raise IndexError(f"layer {layer} is outside the model: its layers are 0 to {self.n_layers - 1}")
        vector = self.vectors[layer]
        if vector.isnan().any():
            raise UserError(f"there is no vector of layer {layer}: the file holds {', '.join(map(str, self.layers))}")
        return vector

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have a vector."""
        return tuple((~self.vectors.isnan().any(1)).nonzero()[:, 0].tolist())

    def length(self, scale: str, layer: int) -> float:
        """The length that a scale gives a layer's vector: its own, 1, or what is known of the activations.

        Args:
            scale: ``raw``, ``unit``, ``sigma`` or ``norm``.

        Raises:
            UserError: It is not known.
        """
        own = {"raw": self[layer].norm(), "unit": 1.0, "sigma": self.sigma[layer], "norm": self.mean_norm[layer]}
        found = float(own[scale])
        if math.isnan(found):
            raise UserError(
                f"scale={scale} needs the model's activations, of which imported vectors know nothing: take scale=raw "
                "or unit"
            )
        return found

    def __len__(self) -> int:
        return self.n_layers

    def __repr__(self) -> str:
        parts = [f"{self.n_layers} layers of {self.hidden_size}"]
        parts += [f"{self.heads.vectors.shape[1]} heads a layer"] if self.heads else []
        said = self.header
        if "method" in said:
            parts.append(f"{said.get('pairs')}-{said['method']}-{said.get('tokens')}, {said.get('n_pairs')} pairs")
        return f"Vectors({', '.join([*parts, *(['gates'] if self.gates else [])])})"

    def save(self, path: str | Path) -> None:
        """Write the vector file (`iar.vectors.file`), which `iar.revise`, the commands and `iar.vectors.read` take.

        Raises:
            UserError: As `iar.vectors.write`.
        """
        from iar.vectors.file import write  # which reads and writes this class

        write(path, self)

    @property
    def problem(self) -> str:
        """Where vectors have length 0, up to the rounding of equal sides that were read in other batches; else "".

        Steering there would be swept as if it had no effect.
        """
        limit = ROUNDING * self.mean_norm.nan_to_num(0)
        empty = (self.vectors.norm(dim=1) <= limit).nonzero()[:, 0].tolist()
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
