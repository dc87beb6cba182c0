"""``python -m iar.sweep layer=9,14,19,24``: every configuration on every benchmark, and the frontier.

In Python `sweep`, which takes the same settings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import DataError
from iar import cli
from iar.callable_module import callable_as
from iar.cli.tasks import Command, Done, SingleJob
from iar.errors import UserError
from iar.pipeline.experiment.settings import Scoring, read
from iar.shipped import shipped

if TYPE_CHECKING:
    from iar.models.checkpoint import LoadedModel
    from iar.pipeline.evaluation.finished_run import FinishedRun
    from iar.pipeline.results.run import Run


def sweep(*settings: str, model: LoadedModel | str | Path | None = None, **named: Any) -> Run:
    """Scores the baseline, every configuration and random controls on benchmarks; chooses a point on the validation
    split and scores it again on the test split. The same settings again resume where they were interrupted.

        iar.sweep(layer=[9, 14, 19, 24], strength=[1, 2], limit=24)
        iar.sweep("data=folder", "data.root=DIR", model="DIR/model", layer=14, benchmark="xstest", run="runs/mine")

    Args:
        settings: As on the command line of ``python -m iar.sweep`` (`--help` lists them): ``data.root=DIR``,
            ``recipe=paper``, ``scale=raw,sigma``.
        model: From `iar.load`, a folder or hub id that it takes, or an entry of conf/model; None: the embedded one.
        named: Settings without a dot in their names. A list makes a sweep of a setting (``strength=[1, 2]``; of layers
            an inner list is added at once: ``layer=[9, [9, 14]]``), and says which of ``benchmark``.

    Returns:
        The run: ``run.scores``, ``run.frontier()``, ``run.recommended``; `iar.load_run` reads it again.

    Raises:
        UserError: What the command would say in one line.
    """
    from iar.models.checkpoint import LoadedModel
    from iar.pipeline.results.run import load_run

    loaded = model if isinstance(model, LoadedModel) else None
    given = [*settings, *_model_settings(model), *(f"{name}={_value(name, value)}" for name, value in named.items())]
    command = Command(partial(run, loaded=loaded, listed=False), partial(read, Scoring), single, gather)
    folder = cli.call("sweep", command, given)
    if folder is None:
        raise UserError("no run was made (dry_run=true): leave dry_run out")
    return load_run(folder)


callable_as(sweep)


def _model_settings(model: LoadedModel | str | Path | None) -> list[str]:
    """The settings that name a model."""
    if model is None:
        return []
    if isinstance(model, str) and (shipped("conf") / "model" / f"{model}.yaml").is_file():
        return [f"model={model}"]
    if isinstance(model, (str, Path)):
        path = Path(model).expanduser()
        name = path.resolve().name if path.exists() else str(model).rpartition("/")[2]
        return [
            "model=folder",
            f"model.name={_quoted(name)}",
            f"model.path={_quoted(str(path if path.exists() else model))}",
        ]
    name, place = model.id.rpartition("/")[2], str(model.folder or model.id)
    return ["model=folder", f"model.name={_quoted(name)}", f"model.path={_quoted(place)}", f"model.dtype={model.dtype}"]


def _value(name: str, value: Any) -> str:
    """A value of Python as Hydra reads it; a list of an axis' values is a sweep of it."""
    if not isinstance(value, (list, tuple)):
        return _plain(value)
    if name == "benchmark":
        return _listed(value)
    return ",".join(_listed(one) if isinstance(one, (list, tuple)) else _plain(one) for one in value)


def _listed(values: Sequence[Any]) -> str:
    return f"[{','.join(map(_plain, values))}]"


def _plain(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def run(jobs: list[Scoring], loaded: LoadedModel | None = None, listed: bool = True) -> Done | None:
    """One pass over all configurations of the jobs, and the chosen one again on the test split.

    Args:
        loaded: The jobs' model, where it is loaded already.
        listed: Whether the files are printed.
    """
    from iar.pipeline.evaluation import confirm, dry_run, pictures, preflight, score, single_job
    from iar.pipeline.evaluation.engines import answering
    from iar.pipeline.experiment import data
    from iar.pipeline.experiment.plan import plan

    asked = plan(jobs)
    cfg, names, configurations = asked.cfg, asked.benchmarks, asked.configurations
    if cfg.dry_run:
        dry_run.show(asked)
        return None
    data.prepare(cfg.data)
    samples = preflight.check(asked)
    pictures.check(cfg, names)
    engine = answering(asked, loaded=loaded)
    folder = score.open_run(cfg, "sweep", score.definition(cfg, names, engine))
    found = score.score(folder, engine, cfg, samples, configurations)
    done = Done(found.path, single_job.objectives(found.scores, jobs))
    files = _show(found, cfg)
    if cfg.split == "validation" and (chosen := confirm.chosen(cfg.confirm, found.scores, configurations)):
        cfg = cfg.replace(split="test", run=str(found.path / "test"))
        samples = data.load(cfg, names)
        again = score.open_run(cfg, "sweep", score.definition(cfg, names, engine))
        files += _show(score.score(again, engine, cfg, samples, chosen), cfg)
    files += _page(found, cfg)
    if listed:
        print(*files, sep="\n")
    return done


def single() -> SingleJob[Scoring]:
    from iar.pipeline.evaluation import single_job

    return single_job


def gather(jobs: list[tuple[Scoring, str]]) -> Path:
    """What the jobs of another launcher left, as one run."""
    from iar.pipeline.evaluation import gather_jobs

    run, asked = gather_jobs.gather(jobs, "sweep")
    print(*_show(run, asked.cfg), *_page(run, asked.cfg), sep="\n")
    return run.path


def _show(run: FinishedRun, cfg: Scoring) -> list[Path]:
    from iar.pipeline.results import figures, method_table, sweep_table

    sweep_table.show(run.scores, run.configurations, _title(cfg), run.split, run.path)
    method_table.refresh(run)
    return [run.path / "scores.csv", *figures.draw(run, cfg.model.name, cfg.figures, cfg.frontier.x, cfg.frontier.y)]


def _page(run: FinishedRun, cfg: Scoring) -> list[Path]:
    """report.html; the scores are written, and what stands in the page's way does not end the command."""
    from iar import explorer
    from iar.terminal.console import console

    if not cfg.figures:
        return []
    try:
        return explorer.write(run.path)
    except (UserError, DataError) as error:
        console.print(f"no report.html: {error}")
        return []


def _title(cfg: Scoring) -> str:
    return f"{cfg.model.name}, {cfg.split} split" + (f", limit={cfg.limit}" if cfg.limit else "")


def main() -> None:
    cli.main("sweep", Command(run, partial(read, Scoring), single, gather))


if __name__ == "__main__":
    main()
