"""``python -m iar.extract``: revision vectors of every layer and head from contrastive pairs."""

from __future__ import annotations

import json
from functools import partial

from iar import cli
from iar.cli.tasks import Command
from iar.errors import UserError
from iar.pipeline.experiment.settings import Extraction, on_ray, read
from iar.terminal.console import console


def run(jobs: list[Extraction]) -> None:
    from iar import models
    from iar.pipeline.experiment import data
    from iar.pipeline.extraction import on_workers, vector_files
    from iar.revision import Configuration
    from iar.vectors.table import layer_table

    passes: dict[str, dict[Configuration, Extraction]] = {}  # jobs that one pass of the model serves
    files = set()
    for cfg in jobs:
        wanted = Configuration("iar", (0,), pairs=cfg.pairs.name, estimator=cfg.estimator, tokens=cfg.tokens)
        file = vector_files.path(cfg, wanted.source)
        if (file, cfg.shard) in files:
            raise UserError(f"two jobs would write {file}: run iar.extract once for each, with another vectors=DIR")
        files.add((file, cfg.shard))
        shared = {key: value for key, value in cfg.to_dict().items() if key not in ("estimator", "tokens")}
        passes.setdefault(json.dumps(shared), {})[wanted] = cfg
    for asked in passes.values():
        cfg = next(iter(asked.values()))
        if cfg.limit is not None:
            cfg = cfg.replace(pairs=cfg.pairs.replace(limit=cfg.limit))
        data.prepare(cfg.data)
        if on_ray(cfg):
            if cfg.shard is not None:
                raise UserError(
                    f"shard={cfg.shard} is one part of the work and executor=ray does all of it: leave one out"
                )
            made = on_workers.extract(cfg, list(asked), cfg.executor.pool())
        elif cfg.shard is None:
            made = vector_files.extract(cfg, models.load_from(cfg.model), list(asked))
        else:
            print(*vector_files.extract_part(cfg, models.load_from(cfg.model), list(asked), cfg.shard), sep="\n")
            continue
        for source, vectors in made.items():
            console.print(layer_table(vectors))
            print(vector_files.path(cfg, source))


def main() -> None:
    cli.main("extract", Command(run, partial(read, Extraction)))


if __name__ == "__main__":
    main()
