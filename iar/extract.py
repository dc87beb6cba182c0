"""``python -m iar.extract``: revision vectors of every layer and head from contrastive pairs."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf, open_dict

from iar import cli
from iar.cli.tasks import Command
from iar.errors import UserError
from iar.pipeline.experiment.settings import check
from iar.terminal.console import console


def run(jobs: list[DictConfig]) -> None:
    from iar import models
    from iar.pipeline.experiment import data
    from iar.pipeline.extraction import on_workers, vector_files
    from iar.revision import Configuration
    from iar.vectors.table import layer_table
    from iar.workers import settings as workers

    passes: dict[str, dict[Configuration, DictConfig]] = {}  # jobs that one pass of the model serves
    files = set()
    for cfg in jobs:
        wanted = Configuration("iar", (0,), pairs=cfg.pairs.name, estimator=cfg.estimator, tokens=cfg.tokens)
        file = vector_files.path(cfg, wanted.source)
        if (file, cfg.shard) in files:
            raise UserError(f"two jobs would write {file}: run iar.extract once for each, with another vectors=DIR")
        files.add((file, cfg.shard))
        shared = OmegaConf.masked_copy(cfg, [key for key in map(str, cfg) if key not in ("estimator", "tokens")])
        passes.setdefault(OmegaConf.to_yaml(shared), {})[wanted] = cfg
    for asked in passes.values():
        cfg = next(iter(asked.values()))
        if cfg.limit is not None:
            with open_dict(cfg.pairs):
                cfg.pairs.limit = cfg.limit
        data.prepare(cfg)
        if workers.kind(cfg) == "ray":
            made = on_workers.extract(cfg, list(asked), workers.workers(cfg))
        elif cfg.shard is None:
            made = vector_files.extract(cfg, models.load_from(cfg.model), list(asked))
        else:
            print(*vector_files.extract_part(cfg, models.load_from(cfg.model), list(asked), cfg.shard), sep="\n")
            continue
        for source, vectors in made.items():
            console.print(layer_table(vectors))
            print(vector_files.path(cfg, source))


def main() -> None:
    cli.main("extract", Command(run, check))


if __name__ == "__main__":
    main()
