"""One job of a sweep by itself, in another process or on another machine: its configuration and the baseline.

Random controls, the second scoring and the figures belong to the sweep as a whole, and are left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iar.pipeline.evaluation.engines import answering
from iar.pipeline.experiment import data, plan
from iar.pipeline.experiment.settings import Scoring

if TYPE_CHECKING:
    import pandas as pd


def name(cfg: Scoring) -> str:
    """Of its configuration.

    Raises:
        UserError: The settings make none.
    """
    return plan.configuration(cfg).name


def settings(cfg: Scoring) -> Scoring:
    """The job's own: a run folder named after the configuration and what it was asked, and nothing but the job."""
    run = f"{cfg.run or 'runs'}/jobs/{name(cfg)}-{{definition}}"
    return cfg.replace(run=run, controls=0, confirm=False, figures=False, tracker=None)


def prepare(cfg: Scoring) -> None:
    """Makes the data and the vectors that the job needs and does not find.

    Raises:
        UserError: The model cannot be loaded, or the pairs cannot be read.
    """
    if cfg.dry_run:
        return
    data.prepare(cfg.data)
    wanted = plan.configuration(cfg)
    if wanted.steered and cfg.model.kind == "local":
        from iar.pipeline.extraction import vector_files

        if not vector_files.path(cfg, wanted.source).exists():
            answering(plan.plan([settings(cfg)]))


def objectives(scores: pd.DataFrame, jobs: Sequence[Scoring]) -> list[tuple[float, float]]:
    """Of each job its safety (SRA_a) and its helpfulness; NaN where it was not asked."""
    from iar.stats import frontier_points

    wanted = [plan.configuration(cfg) for cfg in jobs]
    points = frontier_points(scores, list(dict.fromkeys(wanted))).set_index("configuration")
    return [(float(points["safety"][c.name]), float(points["helpfulness"][c.name])) for c in wanted]
