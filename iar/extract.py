"""``python -m iar.extract``: revision vectors of every layer and head from contrastive pairs."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf, open_dict

from iar import cli
from iar.console import console
from iar.errors import UserError


def run(jobs: list[DictConfig]) -> None:
    from iar import models
    from iar.pipeline import data, executor, extraction
    from iar.revision import Configuration
    from iar.vectors.table import layer_table

    passes: dict[str, dict[Configuration, DictConfig]] = {}  # jobs that one pass of the model serves
    files = set()
    for cfg in jobs:
        wanted = Configuration("iar", (0,), pairs=cfg.pairs.name, estimator=cfg.estimator, tokens=cfg.tokens)
        file = extraction.path(cfg, wanted.source)
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
        if executor.kind(cfg) == "local" and cfg.shard is not None:
            loaded = models.load_from(cfg.model)
            print(*extraction.extract_part(cfg, loaded, list(asked), cfg.shard), sep="\n")
            continue
        for source, vectors in executor.extract(cfg, list(asked)).items():
            console.print(layer_table(vectors))
            print(extraction.path(cfg, source))


def main() -> None:
    cli.main("extract", run)


if __name__ == "__main__":
    main()
