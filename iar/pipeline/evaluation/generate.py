"""Samples x configurations to answers: generations.jsonl, and timings.csv beside it. Nothing is asked twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import benchmark
from benchmark.protocol import Protocol
from benchmark.sample import Loaded, Sample
from iar.errors import UserError
from iar.generation import Answering, Generation
from iar.generation.answering import NOT_FINITE
from iar.pipeline.evaluation import prompts, timings
from iar.pipeline.evaluation.prompt_log import PromptLog
from iar.pipeline.experiment.settings import Scoring
from iar.records import Log, Run
from iar.revision.configuration import Configuration
from iar.terminal.console import bars, console


def ask(
    run: Run,
    engine: Answering,
    cfg: Scoring,
    asked: Mapping[str, Loaded],
    configurations: Sequence[Configuration],
    apart: bool = False,
) -> None:
    """Every configuration on every sample that it has no answer to yet.

    Args:
        apart: Each configuration by itself, so that the time of a batch is one method's. Else those whose answers may
            be equally long share batches, which is faster, and their time is a share by their tokens.
    """
    from iar.generation import RemoteEngine

    protocols = [(benchmark.protocol(name), loaded) for name, loaded in asked.items()]
    with run.log("generations") as log, closing(PromptLog(run, engine)) as given, bars() as progress:
        latest = {(r["benchmark"], r["sample"], r["configuration"]): r for r in log.read()}
        tasks = {
            protocol.benchmark: progress.add_task(
                f"{protocol.benchmark}: {len(configurations)} configurations",
                total=len(loaded.samples) * len(configurations),
            )
            for protocol, loaded in protocols
        }
        for protocol, loaded in protocols:
            name, failed = protocol.benchmark, []
            _say_length(cfg, protocol)
            groups = prompts.by_length(cfg, protocol, configurations)
            if apart:
                groups = [(prompts.length(cfg, protocol, c), [c]) for c in configurations]
            done = {
                (sample.id, c.name)
                for length, group in groups
                for sample in loaded.samples
                for c in group
                if answered(engine, latest.get((name, sample.id, c.name)), sample, c, length)
            }
            progress.update(tasks[name], completed=len(done))
            for length, group in groups:
                together = not isinstance(engine, RemoteEngine)
                for generation in _timed(run, name, engine.run(loaded.samples, group, length, done), together):
                    if generation.error:
                        failed.append((generation.sample.id, generation.error))
                    _write(log, name, generation, given.key(generation.sample, generation.configuration))
                    progress.advance(tasks[name])
            tell(f"{name}: no answer, counted as unscored", list(dict.fromkeys(failed)))
        _order(log, protocols, configurations)


def _order(log: Log, protocols: Sequence[tuple[Protocol, Loaded]], configurations: Sequence[Configuration]) -> None:
    """The answers by benchmark, question and configuration as they are asked for, so that a run that was killed leaves
    the same file as one that was not. Every record is kept, those that are not asked for now first."""
    benchmarks = {protocol.benchmark: index for index, (protocol, _) in enumerate(protocols)}
    samples = {
        (p.benchmark, sample.id): index for p, loaded in protocols for index, sample in enumerate(loaded.samples)
    }
    names = {configuration.name: index for index, configuration in enumerate(configurations)}

    def place(record: Mapping[str, Any]) -> tuple[int, int, int]:
        name, configuration = record["benchmark"], record["configuration"]
        sample = samples.get((name, record["sample"]))
        if sample is None or configuration not in names:
            return (-1, -1, -1)
        return benchmarks[name], sample, names[configuration]

    log.rewrite(sorted(log.read(), key=place))


def answered(
    engine: Answering, record: Mapping[str, Any] | None, sample: Sample, configuration: Configuration, length: int
) -> bool:
    """Whether the record is this question's answer: the same key, so that changed data are asked again. Logits that
    were not finite would not be finite again."""
    if record is None or (record["error"] and not record["error"].startswith(NOT_FINITE)):
        return False
    try:
        known: bool = record["key"] == engine.key(sample, configuration, length)
        return known
    except UserError:  # an image that cannot be read any more: the engine says so
        return False


def tell(what: str, items: Sequence[tuple[str, str]]) -> None:
    """Names the items (id, reason) that get no answer: the first five reasons, and how many more there are."""
    reasons: dict[str, list[str]] = {}
    for name, reason in items:
        reasons.setdefault(reason, []).append(name)
    for reason, names in list(reasons.items())[:5]:
        console.print(f"{what}: {reason} ({names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''})")
    if len(reasons) > 5:
        console.print(f"{what}: {sum(map(len, list(reasons.values())[5:]))} more")


def _say_length(cfg: Scoring, protocol: Protocol) -> None:
    if cfg.model.max_new_tokens < protocol.max_new_tokens:
        console.print(
            f"{protocol.benchmark}: answers are cut at {cfg.model.max_new_tokens} tokens (model.max_new_tokens), "
            f"{protocol.id} allows {protocol.max_new_tokens}"
        )


def _timed(run: Run, name: str, generations: Iterator[Generation], together: bool) -> Iterator[Generation]:
    """The same answers; what they took is added to timings.csv when they end, also by an error or an interruption.

    Args:
        together: Whether passes serve several configurations; an endpoint times each answer by itself.
    """
    spent: dict[str, timings.Spent] = {}
    try:
        for generation in generations:
            yield generation
            spent.setdefault(generation.configuration.name, timings.Spent()).add(generation)
    finally:
        if together:
            timings.share(spent)
        timings.add(run.path, name, spent)


def _write(log: Log, name: str, generation: Generation, prompt: str | None) -> None:
    log.append(
        {
            "benchmark": name,
            "sample": generation.sample.id,
            "configuration": generation.configuration.name,
            "answer": generation.answer,
            "tokens": generation.tokens,
            "prompt_tokens": generation.prompt_tokens,
            "prompt": prompt,
            "error": generation.error,
            "key": generation.key,
        }
    )
