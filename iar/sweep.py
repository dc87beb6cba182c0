"""``python -m iar.sweep layer=9,14,19,24``: every configuration on every benchmark, and the frontier."""

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
    from iar.pipeline import alone, confirmation, data, dry_run, scoring, summary
    from iar.pipeline.answering import answering
    from iar.pipeline.plan import plan

    asked = plan(jobs)
    cfg, names, configurations = asked.cfg, asked.benchmarks, asked.configurations
    confirmation.check(cfg)
    if cfg.dry_run:
        dry_run.show(asked)
        return None
    data.prepare(cfg)
    samples = data.load(cfg, names)
    engine = answering(asked)
    folder = scoring.open_run(cfg, "sweep", scoring.definition(cfg, names, engine))
    scores = scoring.score(folder, engine, cfg, samples, configurations)
    done = Done(folder.path, alone.objectives(scores, jobs))
    files = _show(folder, scores, asked)
    if cfg.split == "validation" and (chosen := confirmation.chosen(cfg.confirm, scores, configurations)):
        cfg.split, cfg.run = "test", str(folder.path / "test")
        samples = data.load(cfg, names)
        again = scoring.open_run(cfg, "sweep", scoring.definition(cfg, names, engine))
        scores = scoring.score(again, engine, cfg, samples, chosen)
        summary.show(scores, chosen, _title(cfg), "test")
        figures = summary.draw(again.path, scores, chosen, str(cfg.model.name), "test")
        files += [again.path / "scores.csv", *figures]
    print(*files, sep="\n")
    return done


def gather(jobs: list[DictConfig]) -> Path:
    """What the jobs of another launcher left, as one run."""
    from iar.pipeline import gathering

    run, asked, scores = gathering.gather(jobs, "sweep")
    print(*_show(run, scores, asked), sep="\n")
    return run.path


def _show(run: Run, scores: pd.DataFrame, asked: Plan) -> list[Path]:
    from iar.pipeline import summary

    cfg, configurations = asked.cfg, asked.configurations
    summary.show(scores, configurations, _title(cfg), cfg.split)
    figures = summary.draw(run.path, scores, configurations, str(cfg.model.name), cfg.split)
    return [run.path / "scores.csv", *figures]


def _title(cfg: DictConfig) -> str:
    return f"{cfg.model.name}, {cfg.split} split" + (f", limit={cfg.limit}" if cfg.limit else "")


def main() -> None:
    cli.main("sweep", run, gather)


if __name__ == "__main__":
    main()
