"""``python -m iar.extract``: revision vectors of every layer and head from contrastive pairs; in Python `extract`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iar import cli
from iar.callable_module import callable_as
from iar.cli.tasks import Command
from iar.errors import UserError
from iar.pipeline.experiment.settings import Extraction, on_ray, read
from iar.terminal.console import console

if TYPE_CHECKING:
    from iar.models.checkpoint import LoadedModel
    from iar.pairs import Example
    from iar.vectors import VectorSet


def extract(
    model: LoadedModel | str | Path,
    pairs: str | Path | Sequence[Example | Mapping[str, Any]],
    *,
    estimator: str = "mms",
    tokens: str = "mean",
    strategy: str = "multi_response",
    heads: bool = True,
    limit: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> VectorSet:
    """Revision vectors of every layer and head, in one pass of the model over the pairs; nothing is written.

    The same estimate as the command's: of the same model and pairs, the same vectors.

    Args:
        model: From `iar.load`, or a folder or hub id that it takes.
        pairs: A file of pairs (docs/pairs.md), or its lines as dicts: ``{"prompt": …, "safe": …, "unsafe": …}`` with an
            ``image`` or none. Two at least.
        estimator: ``mms`` (mass mean shift), ``pwd`` (probe weight direction) or ``random``.
        tokens: Over which tokens of the response activations are averaged: ``mean``, ``last``, ``first_4``; or
            ``last_prompt``.
        strategy: How the sides contrast: ``multi_response``, ``multi_instruction``, ``multi_modality``, ``behaviour``.
        heads: Vectors of attention heads too, if the model has any to read.
        limit: The first N pairs.
        seed: Of the ``random`` estimator.

    Returns:
        The vectors: ``vectors[14]`` is layer 14's, (hidden,) float32; ``vectors.save(FILE)`` writes them.

    Raises:
        UserError: A model, pairs or a name that is not there; pairs without contrast.
    """
    from iar.models.ready import ready
    from iar.pairs import given
    from iar.vectors import estimate

    examples = given(pairs, strategy, limit)
    name = strategy  # as the entries of conf/pairs are called
    return estimate(
        ready(model), examples, estimator=estimator, tokens=tokens, pairs=name, strategy=strategy, heads=heads,
        batch_size=batch_size, seed=seed,
    )  # fmt: skip


callable_as(extract)


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
