"""``python -m iar.analyze``: what the activations of safe and unsafe say before anything is steered."""

from __future__ import annotations

from functools import partial

from iar import cli
from iar.cli.tasks import Command
from iar.pipeline.experiment.settings import Analysis, read


def run(jobs: list[Analysis]) -> None:
    from iar import models
    from iar.analysis import analyse
    from iar.pipeline.experiment import data

    for cfg in jobs:
        analyse.check(cfg)
        data.prepare(cfg.data)
        print(*analyse.analyse(cfg, models.load_from(cfg.model)), sep="\n")


def main() -> None:
    cli.main("analyze", Command(run, partial(read, Analysis)))


if __name__ == "__main__":
    main()
