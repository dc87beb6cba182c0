"""Mass mean shift (MMS): the difference of the classes' means.

    v = mean over safe activations  -  mean over unsafe activations

IAR (arXiv 2501.16378) names it its best extraction; ITI (arXiv 2306.03341, section 4.1) uses it per head, at unit
length. Here its own length is kept; ``scale`` chooses the unit when it is applied.
"""

from __future__ import annotations

from torch import Tensor

from iar.vectors.statistics import Sums


def mass_mean_shift(sums: Sums) -> Tensor:
    """(sites, width) float64."""
    unsafe, safe = sums.means
    shift: Tensor = safe - unsafe
    return shift
