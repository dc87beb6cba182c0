"""The scores in an experiment tracker too, beside scores.csv: MLflow or Weights & Biases, a run a configuration.

Both write into the working folder (``mlflow.db``, ``wandb``) unless their own environment variables name another place
(``MLFLOW_TRACKING_URI``, ``WANDB_MODE=online``). The same command again writes to the same runs. They are told a
configuration's settings, the names of model, data and judge, and the scores: no text, no address and no key.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from iar import records
from iar.errors import UserError

if TYPE_CHECKING:
    from iar.pipeline.evaluation.finished_run import FinishedRun

PROJECT, KEY = "iar", "iar.key"


class Told(NamedTuple):
    """What a tracker is told of a configuration.

    Attributes:
        key: The same for the same configuration of the same run.
        metrics: Such as ``vscbench.all.SRA_s``.
    """

    name: str
    key: str
    settings: dict[str, str]
    metrics: dict[str, float]


def log(tracker: str | None, run: FinishedRun) -> None:
    """Tells the tracker every configuration of a scored run; None: there is none.

    Raises:
        UserError: Its package is missing.
    """
    if tracker is not None:
        package, write = check(tracker), {"mlflow": _mlflow, "wandb": _wandb}[tracker]
        for told in _told(run):
            write(package, told)


def check(tracker: str | None) -> Any:
    """The tracker's package.

    Raises:
        UserError: It is missing.
    """
    try:
        return tracker and importlib.import_module(tracker)
    except ImportError:
        raise UserError(f"tracker={tracker} needs its package: pip install 'iar[{tracker}]'") from None


def _told(run: FinishedRun) -> Iterator[Told]:
    parts = {part: run.definition[part] for part in ("model", "data", "judge")}
    names = {part: found.get("id") or found.get("name") for part, found in parts.items()}
    for configuration in run.configurations:
        rows = run.scores[run.scores["configuration"] == configuration.name].dropna(subset=["value"])
        places = rows["benchmark"].str.cat([rows["category"], rows["metric"]], ".")
        settings = {**names, "split": run.split, **configuration.to_dict()}
        key = records.key(definition=run.definition, configuration=configuration.name)[:32]
        yield Told(
            f"{run.path.name}/{configuration.name}",
            key,
            {name: str(value) for name, value in settings.items()},
            dict(zip(places, rows["value"].astype(float), strict=True)),
        )


def _mlflow(mlflow: Any, told: Told) -> None:
    experiment = mlflow.set_experiment(PROJECT).experiment_id
    known = mlflow.MlflowClient().search_runs([experiment], f"tags.`{KEY}` = '{told.key}'", max_results=1)
    given = {"run_id": known[0].info.run_id} if known else {"run_name": told.name, "tags": {KEY: told.key}}
    with mlflow.start_run(**given):
        mlflow.log_params(told.settings)
        mlflow.log_metrics({_for_mlflow(metric): value for metric, value in told.metrics.items()})


def _for_mlflow(name: str) -> str:
    """A name that it takes: letters, digits and some marks."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)


def _wandb(wandb: Any, told: Told) -> None:
    quiet = {"silent": True, "console": "off", "save_code": False, "disable_git": True}
    settings = wandb.Settings(**quiet, x_disable_meta=True, x_disable_stats=True)  # nothing of this machine either
    mode = os.environ.get("WANDB_MODE") or "offline"
    of = {"project": PROJECT, "name": told.name, "id": told.key, "resume": "allow", "config": told.settings}
    with wandb.init(**of, mode=mode, settings=settings) as run:
        run.log(told.metrics)
