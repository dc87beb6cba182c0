"""An audit as tables, one behind each figure, from every model's counted outcomes.

* ``audit``: every score, a row a model, category (``all``, halves, categories of harm, modes) and metric.
* ``calibration``: a row a model: SRA_s and SRA_u with intervals, and whether that is undersafe or oversafe.
* ``categories``: the same for every category of harm of the image half (the paper's Finding 1).
* ``spread``: how far a model's categories lie apart, against chance: `iar.stats.spread`.
* ``transfer``: the text half by mode, and what each mode loses to text on the same rows (Finding 2).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmark.intervals import interval
from benchmark.vscbench import MODES, calibration
from iar.stats import difference, holm, summarise
from iar.stats.spread import spread

METRICS = ("SRA_s", "SRA_u")
SCORES = ["n", "n_scored", "value", "low", "high"]
QUERY_RELEVANT = ("search", "typography", "concat")  # the modes whose image shows what the query is about
POOLED = "query-relevant"
GAINS = ["difference", "difference_low", "difference_high", "p", "p_holm"]


def tables(outcomes: pd.DataFrame, unscored: pd.DataFrame, protocol: str) -> dict[str, pd.DataFrame]:
    """The tables by name; without those that the protocol asks nothing for (halves alone).

    Args:
        outcomes, unscored: As those of `iar.pipeline.audit.ask.Audit`; the reasons are rows of ``audit``.
    """
    parts = [part for part in (summarise(outcomes), unscored) if len(part)]
    scores = pd.concat(parts, ignore_index=True).rename(columns={"configuration": "model"}).drop(columns="benchmark")
    scores.insert(1, "protocol", protocol)
    labels = _calibrations(scores)
    scores["calibration"] = [labels[place] for place in zip(scores["model"], scores["category"], strict=True)]
    image, text = (_half(outcomes, half) for half in ("image", "text"))
    found = {"audit": scores, "calibration": _points(scores, ["all"], labels).drop(columns="category")}
    if not image.empty:
        found["categories"] = _points(scores, list(dict.fromkeys(image["category"])), labels)
        found["spread"] = spreads(image)
    if not text.empty:
        found["transfer"] = transfer(text)
    return found


def _half(outcomes: pd.DataFrame, half: str) -> pd.DataFrame:
    return outcomes[(outcomes["half"] == half) & outcomes["metric"].isin(METRICS)]


def _calibrations(scores: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(model, category) -> ``undersafe``, ``oversafe`` or "", as the paper draws the lines."""
    values = scores.set_index(["model", "category", "metric"])["value"].to_dict()
    places = dict.fromkeys(zip(scores["model"], scores["category"], strict=True))
    return {place: calibration(*(values.get((*place, metric), np.nan) for metric in METRICS)) for place in places}


def _points(scores: pd.DataFrame, categories: list[str], labels: dict[tuple[str, str], str]) -> pd.DataFrame:
    """A row a model and category: both shares side by side, as the figures want them."""
    rows = []
    known = scores.set_index(["model", "category", "metric"])[SCORES].to_dict("index")
    for model in dict.fromkeys(scores["model"]):
        for category in categories:
            row: dict[str, object] = {"model": model, "category": category}
            for metric in METRICS:
                score = known.get((model, category, metric), dict.fromkeys(SCORES, np.nan))
                row |= {metric if name == "value" else f"{metric}_{name}": score[name] for name in SCORES}
            rows.append(row | {"calibration": labels.get((model, category), "")})
    return pd.DataFrame(rows)


def _by_metric(outcomes: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """(model, metric) and its outcomes, models in their order, SRA_s before SRA_u."""
    groups = {place: part for place, part in outcomes.groupby(["configuration", "metric"], sort=False)}
    models = dict.fromkeys(outcomes["configuration"])
    return [((m, metric), groups[m, metric]) for m in models for metric in METRICS if (m, metric) in groups]


def spreads(image: pd.DataFrame) -> pd.DataFrame:
    """A row a model and metric: largest minus smallest share over the categories, against chance."""
    rows = []
    for (model, metric), part in _by_metric(image.dropna(subset=["value"])):
        found = spread(part["value"], list(part["category"]), list(part["cluster"]))
        rows.append({"model": model, "metric": metric, "categories": part["category"].nunique()} | found)
    return pd.DataFrame(rows)


def transfer(text: pd.DataFrame) -> pd.DataFrame:
    """A row a model, metric and mode: the share, and the share minus text's, paired by row (`iar.stats.difference`).

    ``query-relevant`` is search, typography and concat together. ``p_holm`` is Holm's over all models and image modes
    of a metric, the pooled ones left out. A row counts in a difference if both sides are scored.
    """
    rows = [row for _, part in _by_metric(text) for row in _modes(part)]
    found = pd.DataFrame(rows)
    found["p_holm"] = found["p"].where(found["mode"] != POOLED).groupby(found["metric"]).transform(holm)
    return found[["model", "metric", "mode", *SCORES, "n_paired", *GAINS]]


def _modes(part: pd.DataFrame) -> Iterator[dict[str, object]]:
    model, metric = part["configuration"].iloc[0], part["metric"].iloc[0]
    # The cluster is the row of the xlsx: its five modes ask the same thing.
    asked = {mode: part[part["category"] == mode].set_index("cluster")["value"] for mode in MODES}
    there = {mode: values for mode, values in asked.items() if len(values)}
    related = [there[mode] for mode in QUERY_RELEVANT if mode in there]
    if related:
        there[POOLED] = pd.concat(related)
    for mode, values in there.items():
        scored = values.dropna()
        estimate = interval(scored.to_numpy(), list(scored.index))
        row: dict[str, object] = {"model": model, "metric": metric, "mode": mode, "n": len(values)}
        row |= {"n_scored": estimate.n, "value": estimate.value, "low": estimate.low, "high": estimate.high}
        if mode != "txt" and "txt" in there:
            base = there["txt"].reindex(scored.index)
            paired = base.notna().to_numpy()
            gain = difference(scored[paired], base[paired], list(scored.index[paired]))
            row |= {"n_paired": gain["n"], "difference": gain["difference"], "p": gain["p"]}
            row |= {f"difference_{end}": gain[end] for end in ("low", "high")}
        yield dict.fromkeys(("n_paired", *GAINS), np.nan) | row
