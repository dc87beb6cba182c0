"""From counted outcomes to scores: intervals, paired differences, the Pareto front and a recommended point."""

from benchmark.intervals import Estimate, clustered, interval, wilson
from iar.stats.bootstrap import hypervolumes
from iar.stats.draws import Draws, resample
from iar.stats.paired import difference, differences, holm, sign_flips
from iar.stats.pareto import frontier_points, hypervolume, pareto
from iar.stats.rule import recommend
from iar.stats.summarise import summarise

__all__ = [
    "Draws",
    "Estimate",
    "clustered",
    "difference",
    "differences",
    "frontier_points",
    "holm",
    "hypervolume",
    "hypervolumes",
    "interval",
    "pareto",
    "recommend",
    "resample",
    "sign_flips",
    "summarise",
    "wilson",
]
