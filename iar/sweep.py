"""``python -m iar.sweep layer=9,14,19,24``: every configuration on every benchmark, and the frontier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from iar import cli
from iar.cli.tasks import Command, Done, SingleJob
from iar.pipeline.experiment.settings import check

if TYPE_CHECKING:
    import pandas as pd

    from iar.pipeline.experiment.plan import Plan
    from iar.records import Run


def run(jobs: list[DictConfig]) -> Done | None:
    from iar.pipeline.evaluation import confirm, dry_run, score, single_job
    from iar.pipeline.evaluation.engines import answering
    from iar.pipeline.experiment import data
    from iar.pipeline.experiment.plan import plan
    from iar.pipeline.results import sweep_table

    asked = plan(jobs)
    cfg, names, configurations = asked.cfg, asked.benchmarks, asked.configurations
    confirm.check(cfg)
    if cfg.dry_run:
        dry_run.show(asked)
        return None
    data.prepare(cfg)
    samples = data.load(cfg, names)
    engine = answering(asked)
    folder = score.open_run(cfg, "sweep", score.definition(cfg, names, engine))
    scores = score.score(folder, engine, cfg, samples, configurations)
    done = Done(folder.path, single_job.objectives(scores, jobs))
    files = _show(folder, scores, asked)
    if cfg.split == "validation" and (chosen := confirm.chosen(cfg.confirm, scores, configurations)):
        cfg.split, cfg.run = "test", str(folder.path / "test")
        samples = data.load(cfg, names)
        again = score.open_run(cfg, "sweep", score.definition(cfg, names, engine))
        scores = score.score(again, engine, cfg, samples, chosen)
        sweep_table.show(scores, chosen, _title(cfg), "test")
        figures = sweep_table.draw(again.path, scores, chosen, str(cfg.model.name), "test")
        files += [again.path / "scores.csv", *figures]
    print(*files, sep="\n")
    return done


def single() -> SingleJob:
    from iar.pipeline.evaluation import single_job

    return single_job


def gather(jobs: list[DictConfig]) -> Path:
    """What the jobs of another launcher left, as one run."""
    from iar.pipeline.evaluation import gather_jobs

    run, asked, scores = gather_jobs.gather(jobs, "sweep")
    print(*_show(run, scores, asked), sep="\n")
    return run.path


def _show(run: Run, scores: pd.DataFrame, asked: Plan) -> list[Path]:
    from iar.pipeline.results import method_table, sweep_table

    cfg, configurations = asked.cfg, asked.configurations
    sweep_table.show(scores, configurations, _title(cfg), cfg.split)
    method_table.refresh(run.path)
    figures = sweep_table.draw(run.path, scores, configurations, str(cfg.model.name), cfg.split)
    return [run.path / "scores.csv", *figures]


def _title(cfg: DictConfig) -> str:
    return f"{cfg.model.name}, {cfg.split} split" + (f", limit={cfg.limit}" if cfg.limit else "")


def main() -> None:
    cli.main("sweep", Command(run, check, single, gather))


if __name__ == "__main__":
    main()
