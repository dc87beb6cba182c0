"""What steering does beyond a random push: each configuration against its own random controls, with signs.

A random direction of the same length may raise refusals or lower them, of unsafe requests (SRA_u) and of safe ones
(SRA_s falls where they rise): either is a result. So a control's mean stands with its least and most, as differences to
the unsteered model, and what is left of steering is its difference to that mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from iar.revision.configuration import Configuration
from iar.stats.axes import safety_of
from iar.stats.cells import percent

METRICS = ("SRA_u", "SRA_s")
COLUMNS = ("configuration", "control", "seeds", "metric", "real", "random", "least", "most", "real_minus_random")
NOTE = (
    "Points. Random: the controls of the same place and strength against `none`, mean (least to most of the seeds). "
    "A minus in SRA_u: unsafe requests are refused less; in SRA_s: safe ones are answered less (over-refusal)."
)
TITLE = ("configuration", "against", *(f"{name}: {what}" for name in METRICS for what in ("random", "real − random")))
_SAME = ("prompting", "layers", "heads", "strength", "scale", "positions", "pairs", "tokens", "kl")
_GATE = ("gate_layer", "threshold", "gate", "release", "release_threshold", "release_if")


def table(scores: pd.DataFrame, configurations: Sequence[Configuration]) -> pd.DataFrame:
    """A row a steered configuration, kind of control and metric of VSCBench (without it, of XSTest); none without a
    baseline or controls.

    Returns:
        The COLUMNS: real and random (the mean over seeds) are differences to the baseline, least and most those of
        single seeds, real_minus_random = real - random; shares, NaN where not scored.
    """
    pooled = scores[(scores["benchmark"] == safety_of(set(scores["benchmark"]))) & (scores["category"] == "all")]
    values = {metric: rows.set_index("configuration")["value"] for metric, rows in pooled.groupby("metric")}
    rows = []
    for real in (c for c in configurations if c.steered and not c.control):
        for kind, names in _controls(real, configurations).items():
            for metric in (name for name in METRICS if "none" in values.get(name, ())):
                gain = values[metric] - values[metric]["none"]
                drawn = gain.reindex(names)
                row = (real.name, kind, len(names), metric, gain.get(real.name), drawn.mean(), drawn.min(), drawn.max())
                rows.append((*row, gain.get(real.name) - drawn.mean()))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def cells(found: pd.DataFrame) -> list[tuple[str, ...]]:
    """A line a configuration and kind of control, under TITLE."""
    lines = []
    for (name, kind, seeds), group in found.groupby(["configuration", "control", "seeds"], sort=False):
        by_metric = {row["metric"]: row for row in group.to_dict("records")}
        shown = [f"{name}", f"{kind} ({seeds} seed{'s' * (seeds > 1)})"]
        for metric in METRICS:
            row = by_metric.get(metric)
            if row is None or pd.isna(row["real_minus_random"]):
                shown += ["–", "–"]
                continue
            mean, least, most, rest = (
                percent(row[key], "+") for key in ("random", "least", "most", "real_minus_random")
            )
            shown += [f"{mean} ({least} to {most})" if seeds > 1 else mean, rest]
        lines.append(tuple(shown))
    return lines


def _controls(real: Configuration, configurations: Sequence[Configuration]) -> dict[str, list[str]]:
    """Kind of control -> the names of its seeds that differ from the configuration in nothing else."""
    found: dict[str, list[str]] = {}
    same = (*_SAME, *(_GATE if real.gated else ()), *(("estimator",) if real.scale == "sigma" else ()))
    for other in configurations:
        control = other.traits.draws and real.steering in other.traits.controls
        if control and all(getattr(other, name) == getattr(real, name) for name in same):
            found.setdefault(other.steering, []).append(other.name)
    return found
