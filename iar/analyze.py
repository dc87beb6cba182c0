"""``python -m iar.analyze``: what the activations of safe and unsafe say before anything is steered."""

from __future__ import annotations

from omegaconf import DictConfig

from iar import cli
from iar.cli.tasks import Command
from iar.pipeline.experiment.settings import check


def run(jobs: list[DictConfig]) -> None:
    from iar import models
    from iar.analysis import analyse
    from iar.pipeline.experiment import data

    for cfg in jobs:
        analyse.check(cfg)
        data.prepare(cfg)
        print(*analyse.analyse(cfg, models.load_from(cfg.model)), sep="\n")


def main() -> None:
    cli.main("analyze", Command(run, check))


if __name__ == "__main__":
    main()
