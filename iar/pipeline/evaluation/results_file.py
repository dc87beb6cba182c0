"""results.json: what a run found, in a schema of its own that stays, for scripts and trackers (docs/python.md)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.records import text_file
from iar.stats import frontier_points, rule

NAME, SCHEMA = "results.json", "iar.results/1"  # the number is raised when a key changes its meaning or goes
VALUES = ("value", "low", "high", "family_low", "family_high")


def write(run: FinishedRun, scores: pd.DataFrame) -> Path:
    """Writes it beside scores.csv; the same scores give the same bytes.

    Args:
        scores: As scores.csv holds them.

    Raises:
        UserError: It cannot be written.
    """
    text = json.dumps(content(run, scores), indent=1, allow_nan=False, ensure_ascii=False)
    return text_file.write(run.path / NAME, text + "\n")


def content(run: FinishedRun, scores: pd.DataFrame) -> dict[str, Any]:
    """The same as plain data; shares from 0 to 1, null where not scored."""
    points = frontier_points(scores, run.configurations)
    found: dict[str, Any] = {}
    for row in scores.to_dict("records"):
        at = found.setdefault(str(row["configuration"]), {})
        for key in ("benchmark", "category"):
            at = at.setdefault(str(row[key]), {})
        at[str(row["metric"])] = {
            "n": _whole(row["n"]),
            "n_scored": _whole(row["n_scored"]),
            **{name: _share(row[name]) for name in VALUES if name in row},
        }
    return {
        "schema": SCHEMA,
        **{name: _ordered(run.definition.get(name, {})) for name in ("model", "data", "benchmarks", "judge")},
        "split": run.split,
        "configurations": {c.name: c.to_dict() for c in run.configurations},
        "recommended": rule.starred(scores, run.configurations, run.split),
        "rule": rule.sentence(scores),
        "front": list(points["configuration"][points["pareto"]]),
        "scores": found,
    }


def _ordered(part: Any) -> Any:
    """A part of the definition in one order, whether it was just made or read from its file."""
    return json.loads(json.dumps(part, sort_keys=True))


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _share(value: Any) -> float | None:
    return None if pd.isna(value) or math.isinf(value) else round(float(value), 6)
