"""Each category's scores without and with steering, as the dumbbells show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from benchmark import protocol
from benchmark.vscbench import MODES
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.plots import wording
from iar.revision.configuration import Configuration
from iar.revision.methods import BASELINE

ENDS = {"": "value", "_low": "low", "_high": "high"}
COLUMNS = ["benchmark", "metric", "panel", "group", "category", "name", "n", "configuration"]
COLUMNS += [f"{side}{end}" for side in ("before", "after") for end in ENDS]
COLUMNS += ["difference", "difference_low", "difference_high", "p_holm"]


def chosen(points: pd.DataFrame, configurations: Sequence[Configuration], recommended: str | None) -> str | None:
    """The configuration beside the baseline: the recommended one; else the only one there is; else the safest of the
    front; None where none of these is.

    Args:
        points: As from `iar.stats.frontier_points`.
        recommended: Of the run; the baseline itself is none.
    """
    if recommended and recommended != BASELINE:
        return recommended
    others = [c.name for c in configurations if c.method != BASELINE and not c.control]
    if len(others) == 1:
        return others[0]
    front = points[points["pareto"].astype(bool) & points["configuration"].isin(others)]
    return None if front.empty else str(front.loc[front["safety"].idxmax(), "configuration"])


def table(run: FinishedRun, benchmark: str, configuration: str) -> pd.DataFrame:
    """A row a metric and category that both configurations were scored on; none without a baseline or categories.

    Args:
        run: Its differences.csv gives the paired difference, where there is one.
        benchmark: Its name; the panels are those that its protocol declares (``by_category``).

    Returns:
        benchmark, metric, panel, group, category (in words), name (as in scores.csv), n (questions), configuration,
        before, after (shares with _low and _high), difference with _low, _high and p_holm (paired; NaN: unknown).
    """
    own = run.scores[run.scores["benchmark"] == benchmark].set_index(["configuration", "category", "metric"])
    changes = run.differences
    rows = []
    for metric, panel in protocol(benchmark).by_category.items():
        for group, name, said in _categories(benchmark, list(dict.fromkeys(own.index.get_level_values("category")))):
            before, after = (BASELINE, name, metric), (configuration, name, metric)
            if before not in own.index or after not in own.index:
                continue
            row: dict[str, object] = dict(benchmark=benchmark, metric=metric, panel=panel, group=group, category=said)
            row |= {"name": name, "n": own.loc[after, "n_scored"], "configuration": configuration}
            for side, at in (("before", before), ("after", after)):
                row |= {f"{side}{end}": own.loc[at, column] for end, column in ENDS.items()}
            paired = (configuration, benchmark, name, metric)
            if paired in changes.index:
                change = changes.loc[paired]
                row |= {"difference": change["difference"], "p_holm": change["p_holm"]}
                row |= {f"difference_{end}": change[end] for end in ("low", "high")}
            rows.append(row)
    found = pd.DataFrame(rows, columns=COLUMNS).dropna(subset=["before", "after"])
    return found if set(found["name"]) - {"all"} else found.head(0)


def _categories(benchmark: str, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Heading, name in scores.csv, name in words, in the order of the rows."""
    first = [name for name in names if name == "all"]
    rest = [name for name in names if name != "all"]
    yield from (("", name, "all") for name in first)
    if benchmark == "vscbench":
        modes = [name for name in MODES if name in rest]
        images = [name for name in rest if name not in (*modes, "image", "text")]
        for heading, half, parts in (("image half", "image", images), ("text half", "text", modes)):
            yield from ((heading, name, "all of it") for name in rest if name == half)
            yield from ((heading, name, wording.category(name)) for name in parts)
    else:  # a safe type of XSTest and its unsafe contrast share a row
        yield from (("", name, wording.category(name.removeprefix("contrast_"))) for name in rest)
