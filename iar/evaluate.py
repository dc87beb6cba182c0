"""``python -m iar.evaluate method=cot,prompt,fewshot,iar``: methods against the baseline on every benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from iar import cli
from iar.launching import Done

if TYPE_CHECKING:
    import pandas as pd

    from iar.pipeline.plan import Plan
    from iar.records import Run


def run(jobs: list[DictConfig]) -> Done | None:
    from iar.pipeline import alone, data, dry_run, scoring
    from iar.pipeline.answering import answering
    from iar.pipeline.plan import plan

    asked = plan(jobs)
    cfg, names, configurations = asked.cfg, asked.benchmarks, asked.configurations
    if cfg.dry_run:
        dry_run.show(asked)
        return None
    data.prepare(cfg)
    samples = data.load(cfg, names)
    engine = answering(asked)
    folder = scoring.open_run(cfg, "evaluate", scoring.definition(cfg, names, engine))
    scores = scoring.score(folder, engine, cfg, samples, configurations, apart=True)
    _show(folder, scores, asked)
    return Done(folder.path, alone.objectives(scores, jobs))


def gather(jobs: list[DictConfig]) -> Path:
    """What the jobs of another launcher left, as one run."""
    from iar.pipeline import gathering

    run, asked, scores = gathering.gather(jobs, "evaluate")
    _show(run, scores, asked)
    return run.path


def _show(run: Run, scores: pd.DataFrame, asked: Plan) -> None:
    from iar.pipeline import methods

    cfg, configurations = asked.cfg, asked.configurations
    files = methods.write(run.path, scores, configurations)
    part = f", limit={cfg.limit}" if cfg.limit else ""
    methods.show(run.path, scores, configurations, f"{cfg.model.name}, {cfg.split} split{part}")
    print(run.path / "scores.csv", *files, sep="\n")


def main() -> None:
    cli.main("evaluate", run, gather)


if __name__ == "__main__":
    main()
