"""``python -m iar.extract``: revision vectors of every layer from contrastive pairs."""

from __future__ import annotations

from omegaconf import DictConfig

from iar import cli
from iar.console import console


def run(jobs: list[DictConfig]) -> None:
    from iar import models
    from iar.pipeline import data, extraction

    for cfg in jobs:
        data.prepare(cfg)
        loaded = models.load_from(cfg.model)
        found = extraction.extract(cfg, loaded, cfg.limit)
        console.print(extraction.table(found["mean"]))
        for policy in found:
            print(extraction.path(cfg, policy))


def main() -> None:
    cli.main("extract", run)


if __name__ == "__main__":
    main()
