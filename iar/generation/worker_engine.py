"""Answers of many processes, on one machine or many, that each hold the model: the same as one process gives.

The samples are cut into shards, each with the whole grid of configurations, so that what its configurations and the
questions on one image share is still computed once. A shard comes back whole: of one whose worker was lost nothing is
recorded, and it is given to another worker.
"""

from __future__ import annotations

import socket
from collections.abc import Container, Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation.answer_key import answer_key
from iar.generation.answering import Answering, Generation
from iar.prompting import Compose, Conversation, plain
from iar.revision.configuration import Configuration
from iar.workers.pool import Failed, Pool

if TYPE_CHECKING:
    from iar.generation.engine import Engine


class RayEngine:
    """Greedy generation under steering by the workers of a pool.

    Args:
        pool: Its workers hold engines of the same settings.
        compose: What these say for a sample under a configuration.
        shard: Samples of one shard, at most; those on one image stay together, however many.
    """

    def __init__(self, pool: Pool, compose: Compose = plain, shard: int = 64) -> None:
        self.pool = pool
        self.compose = compose
        self.shard = shard
        self._plain = 0  # rows of a batch in which nothing is shared; 0: as the workers' engines are set up
        self._rendered: dict[Conversation, str] = {}

    def plainly(self, batch_size: int) -> RayEngine:
        """As `iar.generation.Engine.plainly`, by the same workers."""
        other = copy(self)
        other._plain = batch_size
        return other

    def describe(self) -> dict[str, Any]:
        """The model and the vectors, as the first worker has them: the others answer only if theirs are the same.

        Raises:
            UserError: The model cannot be loaded, or its vectors cannot be read.
        """
        return self._described

    @cached_property
    def _described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.pool.first(_describe)
        return found

    def check(self, configuration: Configuration) -> None:
        """Raises what the workers' engines would raise.

        Raises:
            UserError: As `iar.generation.Engine.check`.
        """
        self.pool.first(_check, configuration)

    def key(self, sample: Sample, configuration: Configuration, max_new_tokens: int) -> str:
        """The key that a single process would give the answer: either goes on where the other stopped.

        Raises:
            UserError: An image cannot be read.
        """
        model = self._described["model"]["digest"]
        vectors = self._described["vectors"] | self._described.get("gates", {})
        strength = self._described.get("strengths", {}).get(configuration.name)
        conversation = self.compose(sample, configuration)
        return answer_key(conversation, configuration, max_new_tokens, model=model, vectors=vectors, strength=strength)

    def run(
        self,
        samples: Iterable[Sample],
        configurations: Iterable[Configuration],
        max_new_tokens: int,
        skip: Container[tuple[str, str]] = (),
    ) -> Iterator[Generation]:
        """Answer every sample under every configuration; a shard's answers are yielded when all of it is done.

        Args:
            samples: Of one benchmark: their ids must differ.
            skip: (sample id, configuration name) pairs that are answered already.

        Raises:
            UserError: As `iar.generation.Engine.run`; a worker has another model or other files than the first one.
        """
        asked = list(configurations)
        wanted = [sample for sample in samples if any((sample.id, c.name) not in skip for c in asked)]
        # Small shards at the end of a short run, so that no worker waits long for the last one.
        cut = shards(wanted, min(self.shard, -(-len(wanted) // (4 * self.pool.size)) or 1))
        known = [{(s.id, c.name) for s, c in product(shard, asked) if (s.id, c.name) in skip} for shard in cut]
        described = self._described
        tasks = [
            (described, shard, asked, max_new_tokens, done, self._plain) for shard, done in zip(cut, known, strict=True)
        ]
        for index, result in self.pool.map(_answer, tasks):
            if not isinstance(result, Failed):
                answers, rendered = result
                self._compare(answers, max_new_tokens)
                self._rendered.update(rendered)
                yield from answers
                continue
            error = f"{self.pool.attempts} workers of Ray were lost at its shard: {result.cause}"
            for sample, configuration in product(cut[index], asked):
                if (sample.id, configuration.name) not in known[index]:
                    yield Generation(sample, configuration, "", 0, error, "")

    def rendered(self, conversation: Conversation) -> str:
        """A conversation that was answered, as the workers' chat template writes it.

        Raises:
            UserError: No worker has answered it.
        """
        if conversation not in self._rendered:
            raise UserError("no worker has answered this conversation")
        return self._rendered[conversation]

    def _compare(self, answers: Sequence[Generation], max_new_tokens: int) -> None:
        """Raises when a worker was told other demonstrations, or saw another image, than this process reads."""
        first = next((g for g in answers if g.error is None), None)
        if first and first.key != self.key(first.sample, first.configuration, max_new_tokens):
            raise UserError(
                f"a worker read other images or demonstrations for {first.sample.id!r} than lie here: all machines "
                "must read the same files (docs/scale.md)"
            )


def shards(samples: Sequence[Sample], size: int) -> list[list[Sample]]:
    """Samples in shards of at most ``size``; those with the same images, or text alone and the same text, are not
    parted, and make a larger shard where they are more."""
    groups: dict[tuple[object, ...], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.images or (sample.prompt,), []).append(sample)
    cut: list[list[Sample]] = []
    for group in groups.values():
        if not cut or len(cut[-1]) + len(group) > size:
            cut.append([])
        cut[-1].extend(group)
    return cut


def _describe(engine: Answering) -> dict[str, Any]:
    return engine.describe()


def _check(engine: Answering, configuration: Configuration) -> None:
    engine.check(configuration)


def _answer(
    engine: Answering,
    described: dict[str, Any],
    samples: list[Sample],
    configurations: list[Configuration],
    max_new_tokens: int,
    skip: set[tuple[str, str]],
    plain: int,
) -> tuple[list[Generation], dict[Conversation, str]]:
    """A shard's answers, and what was said to the model for them."""
    if (own := engine.describe()) != described:
        what = "model" if own["model"] != described["model"] else "vectors"
        raise UserError(
            f"the worker on {socket.gethostname()} has another {what} than the first one: all machines must read the "
            "same files (docs/scale.md)"
        )
    asked = cast("Engine", engine)
    asked = asked.plainly(plain) if plain else asked
    answers = list(asked.run(samples, configurations, max_new_tokens, skip))
    said = {asked.compose(answer.sample, answer.configuration) for answer in answers if answer.key}
    return answers, {conversation: asked.rendered(conversation) for conversation in said}
