"""``python -m iar.collect pairs=self_made|behaviour``: contrastive pairs from the model's own answers."""

from __future__ import annotations

from functools import partial

from iar import cli
from iar.cli.tasks import Command
from iar.errors import UserError
from iar.pipeline.experiment.settings import Collection, read


def run(jobs: list[Collection]) -> None:
    from iar import models
    from iar.pipeline.experiment import data
    from iar.pipeline.extraction import self_made_pairs

    for cfg in jobs:
        if cfg.pairs.collect is None:
            raise UserError(f"pairs={cfg.pairs.name} is read, not made: use {' or '.join(self_made_pairs.KINDS)}")
        data.prepare(cfg.data)
        print(self_made_pairs.ensure(cfg, models.load_from(cfg.model)))


def main() -> None:
    cli.main("collect", Command(run, partial(read, Collection)))


if __name__ == "__main__":
    main()
