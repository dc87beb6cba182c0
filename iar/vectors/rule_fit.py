"""What rules need of unsafe and benign activations beyond a vector, fitted one layer at a time and kept in the gates.

Null-space steering (`iar.revision.nullspace`) adds v in proportion to a.h, with an a that is found in closed form:

    a minimises   mean over u of (a.u - 1)^2 + alpha |a|^2   subject to   a = P a
    setting the gradient to zero:   (P S P + alpha I) a = P m,   S = mean of u u^T,  m = mean of u

u: unsafe activations; P projects off the span of benign ones. With X = U P (one unsafe activation a row) this is
a = X^T (X X^T + n alpha I)^-1 1, a system of n equations instead of ``hidden``.

The span holds the means of the benign prompt ends and of the benign responses, and the principal directions about
these means that carry the share ``energy`` of the variance: below 1, because as many activations as dimensions fill
every direction; what benign prompts still feel comes from the rest. Without responses in the span, a.b of the tokens of
a harmless answer can be anything. AlphaSteer (arXiv 2506.07022) frees a fixed share of the dimensions instead, those of
the smallest singular values, without taking means off. alpha is ``ridge`` times the mean of P S P's eigenvalues that
are not zero, so that it means the same at every layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

ENERGY = 0.9
RIDGE = 0.1


def coefficients(
    unsafe: Tensor, benign: Tensor, responses: Tensor | None = None, energy: float = ENERGY, ridge: float = RIDGE
) -> Tensor:
    """The coefficient a of one layer, (hidden,) float32; zero where the benign span leaves the unsafe nothing.

    Args:
        unsafe: (n, hidden) activations of unsafe prompts at the last prompt token.
        benign: (m, hidden) the same of benign prompts.
        responses: (r, hidden) activations of responses to benign prompts, so that these too are left as they are.
        energy: Share of the benign variance that the span carries, over 0 and up to 1.
        ridge: Penalty, as a share of the mean eigenvalue; over 0.
    """
    if not 0 < energy <= 1 or ridge <= 0 or not len(unsafe) or not len(benign):
        raise ValueError(f"energy {energy}, ridge {ridge}, {len(unsafe)} unsafe and {len(benign)} benign activations")
    span = benign_span([part.double() for part in (benign, responses) if part is not None and len(part)], energy)
    rows = unsafe.double()
    left = rows - rows @ span.T @ span
    size = left.square().sum()
    if size <= 1e-20 * rows.square().sum():  # nothing but rounding is left
        return torch.zeros(rows.shape[1])
    alpha = ridge * size / min(len(left), rows.shape[1] - len(span))  # n alpha: X X^T is a sum over n activations
    system = left @ left.T + alpha * torch.eye(len(left), dtype=left.dtype, device=left.device)
    found = left.T @ torch.linalg.solve(system, torch.ones(len(left), dtype=left.dtype, device=left.device))
    outside: Tensor = found - span.T @ (span @ found)
    return outside.float().cpu()


def benign_span(sets: list[Tensor], energy: float) -> Tensor:
    """Orthonormal rows (directions, hidden) that span the sets' means and ``energy`` of the variance about them.

    Each set counts as much as any other, however many activations it has.
    """
    floor = 1e-10 * torch.cat(sets).norm()  # below it is rounding
    means = _rows(torch.stack([part.mean(0) for part in sets]), 1.0, floor)
    spread = torch.cat([(part - part.mean(0)) / len(part) ** 0.5 for part in sets])
    return torch.cat([means, _rows(spread - spread @ means.T @ means, energy, floor)])


def _rows(matrix: Tensor, energy: float, floor: Tensor) -> Tensor:
    """The fewest right singular vectors that carry the share of the matrix's sum of squares; none of the floor's."""
    directions: Tensor
    _, sizes, directions = torch.linalg.svd(matrix, full_matrices=False)
    share = sizes.square().cumsum(0) / sizes.square().sum()
    needed = int((share < energy - 1e-12).sum()) + 1
    return directions[: min(needed, int((sizes > floor).sum()))]
