"""From counted outcomes to scores: intervals, paired differences, the Pareto front and a recommended point."""

from iar.stats.intervals import Estimate, clustered, interval, wilson
from iar.stats.paired import against_baseline, difference
from iar.stats.pareto import frontier_points, pareto, recommend
from iar.stats.summarise import summarise

__all__ = [
    "Estimate",
    "against_baseline",
    "clustered",
    "difference",
    "frontier_points",
    "interval",
    "pareto",
    "recommend",
    "summarise",
    "wilson",
]
