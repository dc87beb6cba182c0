"""Vectors on disk: estimated from the pairs once, checked against model and pairs every time they are used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import iar.pairs
from iar import vectors
from iar.errors import UserError, did_you_mean
from iar.models.checkpoint import LoadedModel
from iar.pairs import Example
from iar.pairs.selection import Selection
from iar.pipeline.experiment.settings import Settings
from iar.pipeline.extraction import fit_gates, gate_prompts, self_made_pairs
from iar.revision.configuration import Configuration
from iar.terminal.console import bars, console
from iar.vectors import Gates, VectorSet, hub, partial
from iar.vectors.header import header
from iar.vectors.statistics import Statistics

LEVELS = ("auto", "head", "layer")


def extract(
    cfg: Settings,
    loaded: LoadedModel,
    wanted: Sequence[Configuration],
    examples: Sequence[Example] | None = None,
) -> dict[str, VectorSet]:
    """Estimate the vectors that the configurations need from one pair set, in one pass of the model, and write them.

    Args:
        cfg: ``pairs`` is the pair set, an entry of conf/pairs.
        wanted: Configurations on this pair set; their estimators and token policies are what is made.
        examples: What the pair set holds, where that is known already.

    Returns:
        The vectors by the name of their file (`Configuration.source`).
    """
    check_writable(cfg, [c.source for c in wanted])
    examples = read(cfg, loaded) if examples is None else examples
    if cfg.gates:
        gate_prompts.read(cfg)  # what is wrong with them comes before minutes go into vectors
    statistics = _statistics(cfg, loaded, examples, wanted)
    found: dict[str, VectorSet] = {}
    for tokens, estimators in _asked(wanted).items():
        seed = cfg.data.seed or 0
        made = vectors.from_statistics(statistics[tokens], estimators, n_layers=len(loaded.decoder), seed=seed)
        for estimator, vector_set in made.items():
            source = f"{cfg.pairs.name}-{estimator}-{tokens}"
            found[source] = replace(vector_set, header=_header(cfg, loaded, examples, estimator, tokens))
            vectors.write(path(cfg, source), found[source])
    return write_gates(cfg, found, fit_gates.make(cfg, loaded, found, examples)) if cfg.gates else found


def extract_part(cfg: Settings, loaded: LoadedModel, wanted: Sequence[Configuration], shard: str) -> list[Path]:
    """Gather one part of a split extraction (``shard=0/4``): files that ``iar.vectors merge`` puts together.

    Raises:
        UserError: ``shard`` is not part of a whole, or gates are asked for.
    """
    if cfg.gates:
        raise UserError(
            f"shard={shard} makes a part of the vectors, without gates: merge the parts first, then gates are fitted"
        )
    check_writable(cfg, [c.source for c in wanted])
    part, parts = _shard(shard)
    examples = read(cfg, loaded)
    statistics = _statistics(cfg, loaded, partial.share(examples, part, parts), wanted)
    files = []
    for tokens, estimators in _asked(wanted).items():
        for estimator in estimators:
            files.append(path(cfg, f"{cfg.pairs.name}-{estimator}-{tokens}-part-{part}-of-{parts}"))
            made = _header(cfg, loaded, examples, estimator, tokens)
            partial.write(files[-1], statistics[tokens], made, part, parts)
    return files


def ensure(
    cfg: Settings, loaded: LoadedModel, configurations: Sequence[Configuration], pair_sets: Mapping[str, Settings]
) -> dict[str, VectorSet]:
    """The vectors that the configurations add, by the name of their file; made first where they are missing.

    Args:
        pair_sets: Name of each pair set -> settings whose ``pairs`` is that set.

    Raises:
        UserError: A file is of another model, damaged, was estimated on other pairs, its gates on other prompts, or
            it lacks the heads asked for.
    """
    found: dict[str, VectorSet] = {}
    if hub.is_address(cfg.vectors):
        console.print(f"vectors: {hub.folder(cfg.vectors).address}")  # the commit, for the run's log
    headed = {c.source for c in configurations if c.heads}
    conditional = {c.source for c in configurations if c.conditional}
    for name, own in pair_sets.items():
        check_name(own)
        wanted = {c.source: c for c in configurations if c.steered and c.pairs == name}
        check_level(own, configurations)
        missing = [c for source, c in wanted.items() if not path(cfg, source).exists()]
        there = own.pairs.path is not None and Path(own.pairs.path).exists()
        examples = read(own, loaded) if missing or (wanted and there) else None
        if missing:
            console.print(f"no vectors {', '.join(c.source for c in missing)} in {cfg.vectors}: extracting them first")
            extract(own, loaded, missing, examples)
        digest = iar.pairs.digest(examples) if examples is not None else None
        for source in wanted:
            found[source] = vectors.read(path(cfg, source), loaded)
            if digest not in (None, found[source].header["pairs_digest"]):
                raise UserError(
                    f"{path(cfg, source)} was estimated on other pairs than {own.pairs.path}: "
                    f"run python -m iar.extract pairs={name} again, or use another folder (vectors=DIR)"
                )
            if source in headed and found[source].heads is None:
                raise UserError(
                    f"{path(cfg, source)} holds no vectors of heads: run python -m iar.extract pairs={name} "
                    f"estimator={wanted[source].estimator} tokens={wanted[source].tokens} level=head again"
                )
        gated = {source: found[source] for source in wanted if source in conditional}
        fit_gates.check(own, gated)
        if bare := {source: vector_set for source, vector_set in gated.items() if vector_set.gates is None}:
            check_refusals(own, configurations)
            console.print(f"no gates in {', '.join(bare)} of {cfg.vectors}: making them first")
            known = read(own, loaded) if examples is None else examples
            found |= write_gates(cfg, bare, fit_gates.make(own, loaded, bare, known))
    return found


def write_gates(
    cfg: Settings, vector_sets: Mapping[str, VectorSet], gates: Mapping[str, Gates]
) -> dict[str, VectorSet]:
    """Rewrites the files of the vectors with their gates, and returns both together.

    Args:
        vector_sets, gates: By the names of the files.

    Raises:
        UserError: A file cannot be written.
    """
    check_writable(cfg, vector_sets)
    found = {source: replace(vector_set, gates=gates[source]) for source, vector_set in vector_sets.items()}
    for source, vector_set in found.items():
        vectors.write(path(cfg, source), vector_set)
    return found


def check_level(cfg: Settings, configurations: Sequence[Configuration]) -> None:
    """Raises where a configuration of this pair set needs heads, which are not read.

    Raises:
        UserError: One does.
    """
    if cfg.level == "layer" and any(c.heads for c in configurations if c.pairs == cfg.pairs.name):
        raise UserError("level=layer reads no heads, but heads=… needs them: remove one of the two")


def check_refusals(cfg: Settings, configurations: Sequence[Configuration]) -> None:
    """Raises where gates are to be made without what a configuration of this pair set needs to know of refusals.

    Raises:
        UserError: They are.
    """
    asked = any(c.release_if == "refused" for c in configurations if c.pairs == cfg.pairs.name)
    if asked and not cfg.refusals:
        raise UserError(
            "release_if=refused needs gates that know what the model refuses by itself: make them with refusals=true"
        )


def check_name(cfg: Settings) -> None:
    """Raises where a part of a shipped pair set has the name of the whole: their vectors would have one file.

    Raises:
        UserError: It has.
    """
    from iar.shipped import shipped

    selection, name = Selection.of(cfg.pairs.to_dict()), cfg.pairs.name
    if selection and (shipped("conf") / "pairs" / f"{name}.yaml").is_file():
        raise UserError(
            f"{selection} makes another pair set than {name}: give it a name of its own, e.g. pairs.name="
            f"{'without' if selection.leave_out else 'only'}-{(selection.leave_out or selection.only)[0]}"
        )


def read(cfg: Settings, loaded: LoadedModel) -> list[Example]:
    """The examples of the pair set ``cfg.pairs``; the model's own are collected first where they are missing.

    Raises:
        UserError: What `iar.pairs.read` and `check_name` raise.
    """
    check_name(cfg)
    self_made_pairs.ensure(cfg, loaded)
    return iar.pairs.read(cfg.pairs.to_dict())


def path(cfg: Settings, source: str) -> Path:
    """The file of these vectors: in the folder ``cfg.vectors``, or in a repository of the Hub (``hf://ORG/NAME``)."""
    folder = hub.folder(cfg.vectors).path if hub.is_address(cfg.vectors) else Path(cfg.vectors)
    return folder / f"{source}.safetensors"


def notes(cfg: Settings, source: str) -> Path:
    """Where what is measured of these vectors is kept: beside them, and never in the cache of the Hub's files."""
    if not hub.is_address(cfg.vectors):
        return path(cfg, source)
    found = hub.folder(cfg.vectors).address.removeprefix(hub.PREFIX).replace("@", "/")
    return Path("runs/vectors/hub") / found / f"{source}.safetensors"


def check_writable(cfg: Settings, sources: Iterable[str]) -> None:
    """Raises where these vectors, or their gates, would have to be made in a repository of the Hub.

    Raises:
        UserError: They would; it says what the repository holds.
    """
    if hub.is_address(cfg.vectors):
        there = [file.stem for file in sorted(hub.folder(cfg.vectors).path.glob("*.safetensors"))]
        raise UserError(
            f"{cfg.vectors} lacks {', '.join(sources)} or gates, and nothing is written there: it holds "
            f"{', '.join(there) or 'none'} (<pairs>-<estimator>-<tokens>); take those, or vectors=DIR"
        )


def _asked(wanted: Sequence[Configuration]) -> dict[str, list[str]]:
    """Token policy -> estimators."""
    asked: dict[str, list[str]] = {}
    for configuration in wanted:
        estimators = asked.setdefault(configuration.tokens, [])
        if configuration.estimator not in estimators:
            estimators.append(configuration.estimator)
    return asked


def _statistics(
    cfg: Settings, loaded: LoadedModel, examples: Sequence[Example], wanted: Sequence[Configuration]
) -> dict[str, Statistics]:
    if cfg.level not in LEVELS:
        raise UserError(f"unknown level {cfg.level!r}: {did_you_mean(str(cfg.level), LEVELS)}")
    if cfg.level == "head":
        loaded.decoder.require_heads()
    with bars() as progress:
        task = progress.add_task(f"{cfg.pairs.name}: activations of {len(examples)} examples", total=len(examples))
        return vectors.collect(
            loaded,
            examples,
            list(_asked(wanted)),
            heads=cfg.level != "layer" and not loaded.decoder.heads_problem,
            batch_size=min(32, cfg.batch_size),
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _header(
    cfg: Settings, loaded: LoadedModel, examples: Sequence[Example], estimator: str, tokens: str
) -> dict[str, str]:
    names = {"pairs": cfg.pairs.name, "strategy": cfg.pairs.strategy}
    seed = cfg.data.seed or 0
    made = header(loaded, examples, estimator=estimator, tokens=tokens, seed=seed, **names)
    selection = Selection.of(cfg.pairs.to_dict())
    return made | ({"pairs_selection": str(selection)} if selection else {})


def _shard(text: str) -> tuple[int, int]:
    part, _, parts = str(text).partition("/")
    if not (part.isdigit() and parts.isdigit() and int(part) < int(parts)):
        raise UserError(f"shard={text} is invalid: the first of four parts is shard=0/4, the last shard=3/4")
    return int(part), int(parts)
