"""What could not be scored, and why: every reason is counted and shown, and many of them are said first of all.

In scores.csv a reason is a metric, ``unscored: timed out``, with its share of a configuration's samples of a benchmark;
only those that happened are there. Reasons are a judge's failures (`iar.judges.verdict.FAILURES`), ``no answer`` and
``no verdict`` (not judged yet, or by a run that broke off), and ``not asked`` (an empty prompt, a missing image).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.table import Table

import benchmark
from benchmark.protocol import Protocol
from benchmark.sample import Sample
from iar.pipeline.evaluation.finished_run import FinishedRun

PREFIX = "unscored: "
MANY = 0.05
"""Above this share of a benchmark its scores may be another benchmark's."""


def rows(run: FinishedRun) -> pd.DataFrame:
    """Rows of scores.csv: configuration, benchmark, category "all", metric, n and n_scored (samples), value (share)."""
    lines: list[dict[str, Any]] = []
    counts = _Counts()
    for configuration in [configuration.name for configuration in run.configurations]:
        for protocol, loaded in ((benchmark.protocol(name), loaded) for name, loaded in run.asked.items()):
            reasons: Counter[str] = Counter()
            for sample in loaded.samples:
                verdict = run.verdicts.get((protocol.benchmark, sample.id, configuration))
                reasons[_reason(verdict, counts(protocol, sample, verdict))] += 1
            reasons["not asked"] += sum(item.sample is not None for item in loaded.unasked)
            n = sum(reasons.values())
            names = {"configuration": configuration, "benchmark": protocol.benchmark, "category": "all"}
            for reason, count in sorted(reasons.items()):
                if reason and count:
                    lines.append(names | {"metric": PREFIX + reason, "n": n, "n_scored": n, "value": count / n})
    columns = ["configuration", "benchmark", "category", "metric", "n", "n_scored", "value"]
    return pd.DataFrame(lines, columns=columns).assign(low=math.nan, high=math.nan)


class _Counts:
    """Whether a protocol counts a verdict; asked once for each label of a sample."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, Any], bool] = {}

    def __call__(self, protocol: Protocol, sample: Sample, verdict: Mapping[str, Any] | None) -> bool:
        if verdict is None or verdict["judge"] == "none":
            return False
        key = (protocol.id, sample.id, verdict["label"])
        if key not in self._known:
            self._known[key] = bool(protocol.outcomes(sample, verdict["label"]))
        return self._known[key]


def _reason(verdict: Mapping[str, Any] | None, counted: bool) -> str:
    """Why a sample has no score, "" if it has one: what a protocol counts although it has no label is scored."""
    if verdict is None:
        return "no verdict"
    if counted:
        return ""
    return str(verdict.get("failure") or "no answer")


def table(scores: pd.DataFrame) -> Table | None:
    """How many samples of each benchmark are unscored for which reason; None where all are scored."""
    found = scores[scores["metric"].astype(str).str.startswith(PREFIX)]
    if found.empty:
        return None
    shown = Table(title="unscored by reason", caption="samples; a judge that failed is no verdict")
    for title in ("configuration", "benchmark", "reason", "unscored", "of"):
        shown.add_column(title, justify="right" if title in ("unscored", "of") else "left")
    for row in found.to_dict("records"):
        reason = row["metric"].removeprefix(PREFIX)
        shown.add_row(row["configuration"], row["benchmark"], reason, f"{_count(row):,}", f"{row['n']:,.0f}")
    return shown


def warning(scores: pd.DataFrame) -> str:
    """One line that names each benchmark of which more than 5 % are unscored, under which configuration, and why."""
    found = scores[scores["metric"].astype(str).str.startswith(PREFIX)]
    parts = []
    for (configuration, name), group in found.groupby(["configuration", "benchmark"], sort=False):
        if group["value"].sum() > MANY:
            counts = {row["metric"].removeprefix(PREFIX): _count(row) for row in group.to_dict("records")}
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
            parts.append(f"{name} under {configuration} {100 * group['value'].sum():.1f} % ({reasons})")
    more = f" and {len(parts) - 5} more" if len(parts) > 5 else ""
    return f"MORE THAN {MANY:.0%} UNSCORED: {'; '.join(parts[:5])}{more}. The scores are of the rest." if parts else ""


def _count(row: Mapping[str, Any]) -> int:
    count: int = round(row["value"] * row["n"])
    return count
