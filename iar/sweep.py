"""``python -m iar.sweep layer=9,14,19,24``: every configuration on every benchmark, and the frontier."""

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
    from iar.pipeline.evaluation import confirm, dry_run, pictures, score, single_job
    from iar.pipeline.evaluation.engines import answering
    from iar.pipeline.experiment import data
    from iar.pipeline.experiment.plan import plan

    asked = plan(jobs)
    cfg, names, configurations = asked.cfg, asked.benchmarks, asked.configurations
    if cfg.dry_run:
        dry_run.show(asked)
        return None
    data.prepare(cfg.data)
    pictures.check(cfg, names)
    samples = data.load(cfg, names)
    engine = answering(asked)
    folder = score.open_run(cfg, "sweep", score.definition(cfg, names, engine))
    found = score.score(folder, engine, cfg, samples, configurations)
    done = Done(found.path, single_job.objectives(found.scores, jobs))
    files = _show(found, cfg)
    if cfg.split == "validation" and (chosen := confirm.chosen(cfg.confirm, found.scores, configurations)):
        cfg = cfg.replace(split="test", run=str(found.path / "test"))
        samples = data.load(cfg, names)
        again = score.open_run(cfg, "sweep", score.definition(cfg, names, engine))
        files += _show(score.score(again, engine, cfg, samples, chosen), cfg)
    print(*files, sep="\n")
    return done


def single() -> SingleJob[Scoring]:
    from iar.pipeline.evaluation import single_job

    return single_job


def gather(jobs: list[tuple[Scoring, str]]) -> Path:
    """What the jobs of another launcher left, as one run."""
    from iar.pipeline.evaluation import gather_jobs

    run, asked = gather_jobs.gather(jobs, "sweep")
    print(*_show(run, asked.cfg), sep="\n")
    return run.path


def _show(run: FinishedRun, cfg: Scoring) -> list[Path]:
    from iar.pipeline.results import figures, method_table, sweep_table

    sweep_table.show(run.scores, run.configurations, _title(cfg), run.split, run.path)
    method_table.refresh(run)
    return [run.path / "scores.csv", *figures.draw(run, cfg.model.name)]


def _title(cfg: Scoring) -> str:
    return f"{cfg.model.name}, {cfg.split} split" + (f", limit={cfg.limit}" if cfg.limit else "")


def main() -> None:
    cli.main("sweep", Command(run, partial(read, Scoring), single, gather))


if __name__ == "__main__":
    main()
