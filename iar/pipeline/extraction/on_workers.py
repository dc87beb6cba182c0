"""Vectors from pairs by workers of Ray: each reads the activations of a part, and the parts' statistics are merged.

How the pairs are cut depends on the pairs and on ``executor.shard`` alone, and parts are merged in their order: the
vectors have the same bytes whatever the number of workers, and whichever of them were lost. From those of one process
they differ by rounding: batches hold other examples, and float64 sums have another order. Gates are made by one worker.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial as bound
from typing import TYPE_CHECKING

import iar.pairs
from iar import vectors
from iar.errors import UserError
from iar.models.checkpoint import LoadedModel
from iar.pairs import Example
from iar.pipeline.experiment.settings import Model, Settings
from iar.pipeline.extraction import fit_gates, gate_prompts, self_made_pairs, vector_files
from iar.revision.configuration import Configuration
from iar.terminal.console import bars, console
from iar.vectors import Gates, VectorSet, partial
from iar.vectors.statistics import Statistics
from iar.workers.pool import Failed, Pool

if TYPE_CHECKING:
    from iar.workers.settings import Workers


def ensure(
    cfg: Settings, configurations: Sequence[Configuration], pair_sets: Mapping[str, Settings], settings: Workers
) -> Pool | None:
    """Makes the vectors and gates that the configurations need and that are not there yet; who loads them checks the
    others.

    Returns:
        The workers that made them, which hold the model; None where nothing was missing.

    Raises:
        UserError: As `extract`.
    """
    missing: dict[str, dict[str, Configuration]] = {}  # pair set -> vector file -> configuration
    for name, own in pair_sets.items():
        wanted = [c for c in configurations if c.steered and c.pairs == name]
        vector_files.check_level(own, wanted)
        vector_files.check_name(own)
        missing[name] = {c.source: c for c in wanted if not vector_files.path(cfg, c.source).exists()}
    conditional = {c.source: c for c in configurations if c.conditional}
    bare = {name: _bare(cfg, [c for c in conditional.values() if c.pairs == name]) for name in pair_sets}
    if not any((*missing.values(), *bare.values())):
        return None
    for name in (name for name in pair_sets if missing[name] or bare[name]):
        vector_files.check_refusals(pair_sets[name], configurations)
    with _workers(cfg, settings) as pool:
        for name, sources in missing.items():
            if sources:
                console.print(f"no vectors {', '.join(sources)} in {cfg.vectors}: extracting them first")
                made = _extract(pool, pair_sets[name], list(sources.values()), settings.shard)
                bare[name] |= {source: found for source, found in made.items() if source in conditional}
            if bare[name]:
                console.print(f"no gates in {', '.join(bare[name])} of {cfg.vectors}: making them first")
                _add_gates(pool, pair_sets[name], bare[name])
        return pool


def _bare(cfg: Settings, conditional: Sequence[Configuration]) -> dict[str, VectorSet]:
    """The vectors that are there, without gates."""
    there = {c.source: path for c in conditional if (path := vector_files.path(cfg, c.source)).exists()}
    found = {source: vectors.read(path) for source, path in there.items()}
    return {source: vector_set for source, vector_set in found.items() if vector_set.gates is None}


def extract(cfg: Settings, wanted: Sequence[Configuration], settings: Workers) -> dict[str, VectorSet]:
    """As `iar.pipeline.extraction.vector_files.extract`, in one pass over the pairs by all workers.

    Raises:
        UserError: What `iar.pipeline.extraction.vector_files.extract` raises; a part was given up because its workers
            were lost.
    """
    vector_files.check_name(cfg)
    vector_files.check_writable(cfg, [c.source for c in wanted])
    if cfg.gates:
        gate_prompts.read(cfg)
    with _workers(cfg, settings) as pool:
        found = _extract(pool, cfg, wanted, settings.shard)
        if cfg.gates:
            found = _add_gates(pool, cfg, found)
    pool.close()
    return found


@contextmanager
def _workers(cfg: Settings, settings: Workers) -> Iterator[Pool]:
    """Workers that hold the model; closed where an error ends their work."""
    pool = settings.start(bound(_load, cfg.model), cfg.model.device)
    try:
        yield pool
    except BaseException:
        pool.close()
        raise


def _load(settings: Model) -> LoadedModel:
    from iar import models

    return models.load_from(settings)


def _extract(pool: Pool, cfg: Settings, wanted: Sequence[Configuration], size: int) -> dict[str, VectorSet]:
    if cfg.pairs.collect is not None:
        pool.first(_collect, cfg)
    examples = iar.pairs.read(cfg.pairs.to_dict())
    headers = pool.first(_headers, cfg, examples, wanted)
    statistics = _gather(pool, cfg, parts(examples, size), wanted)
    found: dict[str, VectorSet] = {}
    for tokens, estimators in vector_files._asked(wanted).items():
        n_layers, seed = int(headers[estimators[0], tokens]["n_layers"]), cfg.data.seed or 0
        made = vectors.from_statistics(statistics[tokens], estimators, n_layers=n_layers, seed=seed)
        for estimator, vector_set in made.items():
            source = f"{cfg.pairs.name}-{estimator}-{tokens}"
            found[source] = replace(vector_set, header=headers[estimator, tokens])
            vectors.write(vector_files.path(cfg, source), found[source])
    return found


def require(cfg: Settings, sources: Mapping[str, object]) -> None:
    """Raises where a worker cannot see the vectors.

    Raises:
        UserError: A file is missing.
    """
    for source in sources:
        if not (path := vector_files.path(cfg, source)).exists():
            raise UserError(
                f"the worker on {socket.gethostname()} finds no vectors {path}: vectors=DIR must be a folder that all "
                "machines share"
            )


def parts(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """The pairs in as many parts as give each about ``size`` pairs, at least two, and examples of both sides."""
    different = {example.pair for example in examples} - set(iar.pairs.copies(examples))
    count = max(1, len(different) // max(2, size))
    while count > 1:
        cut = [partial.share(examples, part, count) for part in range(count)]
        if all({example.safe for example in one} == {True, False} for one in cut):
            return cut
        count -= 1
    return [list(examples)]


def _gather(
    pool: Pool, cfg: Settings, cut: Sequence[list[Example]], wanted: Sequence[Configuration]
) -> dict[str, Statistics]:
    """The statistics of all parts, merged in the order of the parts as far as these are there."""
    merged: dict[str, Statistics] = {}
    waiting: dict[int, dict[str, Statistics]] = {}
    following = 0
    with bars() as progress:
        total = sum(map(len, cut))
        task = progress.add_task(f"{cfg.pairs.name}: activations of {total} examples", total=total)
        for index, result in pool.map(_statistics, [(cfg, part, wanted) for part in cut]):
            if isinstance(result, Failed):
                raise UserError(
                    f"{pool.attempts} workers of Ray were lost at part {index + 1} of {len(cut)} of the pairs: "
                    f"{result.cause}"
                )
            waiting[index] = result
            progress.advance(task, len(cut[index]))
            while following in waiting:
                part = waiting.pop(following)
                merged = {tokens: merged[tokens].merge(new) if merged else new for tokens, new in part.items()}
                following += 1
    return merged


def _collect(loaded: LoadedModel, cfg: Settings) -> None:
    self_made_pairs.ensure(cfg, loaded)


def _add_gates(pool: Pool, cfg: Settings, vector_sets: Mapping[str, VectorSet]) -> dict[str, VectorSet]:
    """Gates by one worker, because all of a layer's prompts are fitted together; written from here."""
    return vector_files.write_gates(cfg, vector_sets, pool.first(_gates, cfg, vector_sets))


def _gates(loaded: LoadedModel, cfg: Settings, vector_sets: Mapping[str, VectorSet]) -> dict[str, Gates]:
    return fit_gates.make(cfg, loaded, vector_sets, vector_files.read(cfg, loaded))


def _headers(
    loaded: LoadedModel, cfg: Settings, examples: Sequence[Example], wanted: Sequence[Configuration]
) -> dict[tuple[str, str], dict[str, str]]:
    return {
        (estimator, tokens): vector_files._header(cfg, loaded, examples, estimator, tokens)
        for tokens, estimators in vector_files._asked(wanted).items()
        for estimator in estimators
    }


def _statistics(
    loaded: LoadedModel, cfg: Settings, examples: Sequence[Example], wanted: Sequence[Configuration]
) -> dict[str, Statistics]:
    return vector_files._statistics(cfg, loaded, examples, wanted)
