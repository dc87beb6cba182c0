"""``python -m iar.evaluate method=cot,prompt,fewshot,iar``: methods against the baseline on every benchmark."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from iar import cli
from iar.cli.tasks import Command, Done, SingleJob
from iar.pipeline.experiment.settings import Scoring, read

if TYPE_CHECKING:
    from iar.pipeline.evaluation.finished_run import FinishedRun


def run(jobs: list[Scoring]) -> Done | None:
    from iar.pipeline.evaluation import dry_run, pictures, preflight, score, single_job
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
    engine = answering(asked)
    folder = score.open_run(cfg, "evaluate", score.definition(cfg, names, engine))
    found = score.score(folder, engine, cfg, samples, configurations, apart=True)
    _show(found, cfg)
    return Done(found.path, single_job.objectives(found.scores, jobs))


def single() -> SingleJob[Scoring]:
    from iar.pipeline.evaluation import single_job

    return single_job


def gather(jobs: list[tuple[Scoring, str]]) -> Path:
    """What the jobs of another launcher left, as one run."""
    from iar.pipeline.evaluation import gather_jobs

    run, asked = gather_jobs.gather(jobs, "evaluate")
    _show(run, asked.cfg)
    return run.path


def _show(run: FinishedRun, cfg: Scoring) -> None:
    from iar.pipeline.results import method_table

    files = method_table.write(run)
    part = f", limit={cfg.limit}" if cfg.limit else ""
    method_table.show(run, f"{cfg.model.name}, {cfg.split} split{part}")
    print(run.path / "scores.csv", *files, sep="\n")


def main() -> None:
    cli.main("evaluate", Command(run, partial(read, Scoring), single, gather))


if __name__ == "__main__":
    main()
