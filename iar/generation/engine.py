"""Answers for samples x configurations: each distinct one is a row, generated once, with what rows share shared."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmark import thoughts
from benchmark.sample import Sample
from iar.errors import UserError, did_you_mean
from iar.generation import demonstrations, likelihood, plain_path, routing, shared, tree
from iar.generation.answer_key import answer_key
from iar.generation.answering import Generation
from iar.generation.finite import REASON, NotFinite
from iar.generation.row import Row, images_of, read
from iar.generation.sampling import Sampling
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.prompting import Compose, Conversation, Turn, begun, plain
from iar.revision.configuration import Configuration
from iar.revision.direction import Revision, directions
from iar.revision.overflow import check as check_overflow
from iar.terminal.console import console
from iar.vectors.file import digest, gates_digest
from iar.vectors.vector_set import VectorSet

SHARING = ("auto", "plain")


class Engine:
    """Greedy generation under steering: in float32 each row's answer is that of the row alone, exactly. In bfloat16 and
    float16 it is that up to rounding, which may decide between two tokens (`iar.pipeline.evaluation.noise_floor`).

    Args:
        vectors: Name of a vector file (`Configuration.source`) -> its revision vectors; may be empty when only the
            baseline is asked.
        batch_size: Rows a batch, where nothing is shared.
        sampling: Sample rather than decode greedily; each row's draws depend on its own key and the seed alone.
        compose: What is said for a sample under a configuration; by default its prompt alone.
        sharing: ``auto``: what configurations and questions have in common is computed once, as far as a check of the
            model against the plain path finds it exact, in 16 bits up to rounding (`iar.generation.tree`).
            ``plain``: nothing is shared.
        max_kv_gib: Memory for the keys and values of what is shared, in GiB.
        strengths: What KL budgets allow (`iar.pipeline.extraction.kl_strength`), for the configurations that have one.

    Raises:
        UserError: The model has no chat template; an unknown way of sharing, or no memory for it.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        vectors: Mapping[str, VectorSet],
        batch_size: int = 128,
        sampling: Sampling | None = None,
        compose: Compose = plain,
        sharing: str = "auto",
        max_kv_gib: float = 4.0,
        strengths: Mapping[Configuration, float] | None = None,
    ) -> None:
        if sharing not in SHARING:
            raise UserError(f"unknown generation.sharing {sharing!r}: {did_you_mean(str(sharing), SHARING)}")
        if not max_kv_gib > 0:
            raise UserError(f"generation.max_kv_gib={max_kv_gib} must be a number above 0, such as 4")
        self.loaded = loaded
        self.vectors = vectors
        self.batch_size = batch_size
        self.sampling = sampling
        self.compose = compose
        self.max_kv_gib = max_kv_gib
        self.strengths = dict(strengths or {})
        self._sharing: str | None = None if sharing == "auto" else sharing
        self._digests = {source: digest(vector_set) for source, vector_set in vectors.items()}
        gates = {source: vector_set.gates for source, vector_set in vectors.items() if vector_set.gates}
        self._digests |= {f"{source}:gates": gates_digest(found) for source, found in gates.items()}
        chat.converse(loaded, (Turn("user", ""),))  # a model that cannot be asked at all is not an error of single rows

    def run(
        self,
        samples: Iterable[Sample],
        configurations: Iterable[Configuration],
        max_new_tokens: int,
        skip: Container[tuple[str, str]] = (),
    ) -> Iterator[Generation]:
        """Answer every sample under every configuration; each answer is yielded when its batch is done, and of a
        slow model within half a minute after it has ended (`tree.decode.HAND_OVER`, `shared.at_once`).

        The order is that of the batches (prompts of equal length together), not that of the input. A row whose image
        cannot be read gets an error and the rest goes on; so does one whose logits are not finite (a vector that makes
        the model overflow), and the answers of the others are those of a run without it (`iar.generation.finite`).

        Args:
            samples: Of one benchmark: their ids must differ.
            skip: (sample id, configuration name) pairs that are answered already.

        Raises:
            UserError: Before anything is generated: vectors missing, a layer outside the model, or what is added
                beyond the range of its dtype.
        """
        configurations = list(configurations)
        added = {c: self._directions(c) for c in configurations}
        rows: dict[str, Row] = {}
        gated: dict[Configuration, list[Row]] = {}
        for sample in samples:
            wanted = [c for c in configurations if (sample.id, c.name) not in skip]
            if not wanted:
                continue
            for configuration in wanted:
                try:
                    conversation = self.compose(sample, configuration)
                    key = self._key(conversation, configuration, max_new_tokens)
                    prompt = chat.converse(self.loaded, conversation)
                except UserError as error:
                    yield Generation(sample, configuration, "", 0, str(error), "")
                    continue
                owners = [(sample, configuration, key)]
                row = Row(key, prompt, images_of(conversation), 0, configuration, owners, begun(conversation))
                if configuration.steering == "gate":
                    gated.setdefault(configuration, []).append(row)
                else:
                    self._ask(row, self._asked(row, added[configuration]), conversation, max_new_tokens, rows, added)
        yield from self._refused(gated, max_new_tokens, rows, added)
        yield from self._rows(rows, added, max_new_tokens)

    def _rows(
        self, rows: Mapping[str, Row], added: Mapping[Configuration, Revision], max_new_tokens: int
    ) -> Iterator[Generation]:
        """Batch by batch. A configuration under which a row's logits are not finite is set apart: the batch is dropped,
        what is left is asked as if there were no such configuration, and what is set apart last, on the plain path."""
        left, apart = dict(rows), set[Configuration]()
        while left:
            sound = [row for row in left.values() if row.configuration not in apart]
            plain = not sound or self.sharing == "plain"
            size = min(self.batch_size, shared.at_once(self.loaded, max_new_tokens))
            batches = plain_path.batches(sound or left.values(), size) if plain else shared.blocks(sound)
            try:
                for batch in batches:
                    for row, generations in self._answer(batch, added, max_new_tokens, plain, last=not sound):
                        del left[row.key]
                        yield from generations
            except NotFinite as error:
                apart |= {row.configuration for row in error.which}

    def _asked(self, row: Row, revision: Revision) -> Configuration:
        """What the row is asked under: its own configuration, unless a coin decides."""
        configuration = row.configuration
        if configuration.traits.draws != "coin":
            return configuration
        vectors = self._vectors_for(configuration)
        assert revision.gate is not None and vectors is not None and vectors.gates is not None
        return routing.tossed(configuration, revision.gate, vectors.gates, row)

    def _ask(
        self,
        row: Row,
        configuration: Configuration,
        conversation: Conversation,
        max_new_tokens: int,
        rows: dict[str, Row],
        added: dict[Configuration, Revision],
    ) -> None:
        """Joins the row to those that ask the same."""
        key = row.key
        if configuration != row.configuration:
            key = self._key(conversation, configuration, max_new_tokens)
            added.setdefault(configuration, self._directions(configuration))
        if key not in rows:
            length = chat.text_length(self.loaded, row.prompt)
            rows[key] = Row(key, row.prompt, row.images, length, configuration, begun=row.begun)
        rows[key].owners += row.owners

    def _refused(
        self,
        gated: Mapping[Configuration, list[Row]],
        max_new_tokens: int,
        rows: dict[str, Row],
        added: dict[Configuration, Revision],
    ) -> Iterator[Generation]:
        """The fixed refusals of gates alone; where a gate does not fire its row is asked unsteered."""
        for configuration, waiting in gated.items():
            gate = added[configuration].gate
            assert gate is not None
            for row, fired in routing.fired(self.loaded, waiting, gate, self.batch_size):
                for sample, _, key in row.owners:
                    if isinstance(fired, UserError):
                        yield Generation(sample, configuration, "", 0, str(fired), "")
                    elif fired:
                        yield Generation(sample, configuration, routing.REFUSAL, 0, None, key)
                    else:
                        said = self.compose(sample, configuration)
                        self._ask(row, routing.unsteered(configuration), said, max_new_tokens, rows, added)

    def rendered(self, conversation: Conversation) -> str:
        """A conversation as the model's chat template writes it.

        Raises:
            UserError: As `iar.models.chat.converse`.
        """
        return chat.converse(self.loaded, conversation)

    def plainly(self, batch_size: int) -> Engine:
        """The same model and settings with nothing shared, in batches of so many rows."""
        other = copy(self)
        other._sharing, other.batch_size = "plain", batch_size
        return other

    def sampled(self, sampling: Sampling) -> Engine:
        """The same model and settings, with tokens drawn."""
        other = copy(self)
        other.sampling = sampling
        return other

    def likelihoods(self, said: Sequence[tuple[Sample, Configuration, str]]) -> Iterator[tuple[int, list[float]]]:
        """How likely the *unsteered* model finds answers in the conversations in which they were given.

        Args:
            said: Sample, configuration and answer.

        Yields:
            Index of each and its tokens' negative log-likelihoods in nats, in no order; an empty list where there are
            none (`iar.generation.likelihood.score`).
        """
        between = likelihood.space(self.loaded)
        places: dict[likelihood.Given, list[int]] = {}
        for index, (sample, configuration, answer) in enumerate(said):
            conversation = self.compose(sample, configuration)
            start = begun(conversation)
            text = answer.removeprefix(start) if start else between + answer
            prompt = chat.converse(self.loaded, conversation)
            places.setdefault(likelihood.Given(prompt, images_of(conversation), text), []).append(index)
        share, limits = self.sharing in ("staged", "tree"), shared.limits(self.loaded, self.max_kv_gib)
        for number, nll in likelihood.score(self.loaded, given := list(places), share, limits):
            yield from ((index, nll) for index in places[given[number]])

    @property
    def sharing(self) -> str:
        """A mode of `tree.check`, or ``plain``; the model is checked when it is first asked, and a fallback said."""
        if self._sharing is None:
            found = tree.self_check(self.loaded)
            self._sharing = found.mode
            if found.mode != "staged":
                console.print(f"model {self.loaded.id!r}: {found.reason}")
        return self._sharing

    def key(self, sample: Sample, configuration: Configuration, max_new_tokens: int) -> str:
        """The key of the answer that `run` would give: a record with another key is another question's answer.

        Raises:
            UserError: An image cannot be read, or a turn spells a control token.
        """
        return self._key(self.compose(sample, configuration), configuration, max_new_tokens)

    def describe(self) -> dict[str, Any]:
        """The model and the vectors, as part of a run's definition."""
        loaded = self.loaded
        model = {"id": loaded.id, "revision": loaded.revision, "dtype": loaded.dtype, "digest": loaded.fingerprint}
        gates = {name: value for name, value in self._digests.items() if name.endswith(":gates")}
        vectors = {name: value for name, value in self._digests.items() if name not in gates}
        strengths = {configuration.name: value for configuration, value in self.strengths.items()}
        return {"model": model, "vectors": vectors, "gates": gates, "strengths": strengths}

    def check(self, configuration: Configuration) -> None:
        """Raises what `run` would raise for this configuration, and what would be wrong with each of its rows.

        Raises:
            UserError: No vectors for it, a layer outside the model, or what is added beyond the range of its dtype; a
                chat template or a processor that does not take the demonstrations' turns and images.
        """
        self._directions(configuration)
        if configuration.shots:
            demonstrations.check(self.loaded, self.compose, configuration)

    def _directions(self, configuration: Configuration) -> Revision:
        """What is added; with a KL budget at the strength that it allows."""
        strength = self.strengths.get(configuration, configuration.strength)
        asked, vectors = replace(configuration, strength=strength), self._vectors_for(configuration)
        check_overflow(asked, vectors, self.loaded.model.dtype)
        return directions(asked, vectors)

    def _vectors_for(self, configuration: Configuration) -> VectorSet | None:
        if not configuration.steered:
            return None
        if self.vectors and configuration.source not in self.vectors:
            raise UserError(f"no vectors {configuration.source!r}: {did_you_mean(configuration.source, self.vectors)}")
        return self.vectors.get(configuration.source)

    def _key(self, conversation: Conversation, configuration: Configuration, max_new_tokens: int) -> str:
        chat.check(self.loaded, conversation)  # an answer recorded to what is refused now is none
        return answer_key(
            conversation,
            configuration,
            max_new_tokens,
            model=self.loaded.fingerprint,
            vectors=self._digests,
            sampling=self.sampling,
            strength=self.strengths.get(configuration),
        )

    def _answer(
        self,
        batch: list[Row],
        added: Mapping[Configuration, Revision],
        max_new_tokens: int,
        plain: bool,
        last: bool,
    ) -> Iterator[tuple[Row, list[Generation]]]:
        """Each row and its owners' answers.

        Args:
            last: A row whose logits are not finite gets an error.

        Raises:
            NotFinite: With the rows whose logits are not finite, unless this is their last turn.
        """
        start = time.perf_counter()
        encoded: dict[tuple[str, tuple[Path, ...]], dict[str, Tensor] | UserError] = {}
        for row in batch:
            question = (row.prompt, row.images)
            if question not in encoded:
                try:
                    images = [chat.open_image(path) for path in row.images]
                    encoded[question] = chat.encode_rendered(self.loaded, row.prompt, images)
                except UserError as error:
                    encoded[question] = error
        askable, features = [], []
        for row in batch:
            inputs = encoded[row.prompt, row.images]
            if isinstance(inputs, UserError):
                yield row, [Generation(s, c, "", 0, str(inputs), "") for s, c, _ in row.owners]
            else:
                askable.append(row)
                features.append(inputs)
        if not askable:
            return
        for index, ids in self._generate(askable, features, added, max_new_tokens, plain, last):
            row, asked = askable[index], features[index]["input_ids"].shape[1]
            answer, tokens, failed = "", 0, None if ids is not None else REASON
            if ids is not None:
                answer, tokens = read(self.loaded, ids)
                answer = f"{row.begun} {thoughts.opening(row.prompt)}{answer}".strip()
            now = time.perf_counter()
            seconds, start = (now - start) / len(row.owners), now
            yield row, [Generation(s, c, answer, tokens, failed, key, seconds, asked) for s, c, key in row.owners]

    def _generate(
        self,
        rows: list[Row],
        features: list[dict[str, Tensor]],
        added: Mapping[Configuration, Revision],
        max_new_tokens: int,
        plain: bool,
        last: bool,
    ) -> Iterator[tuple[int, list[int] | None]]:
        """Index of a row, and its ids."""
        revisions = [added[row.configuration] for row in rows]
        asked = (self.loaded, rows, features, revisions, max_new_tokens, self.sampling)
        try:
            if plain:
                yield from plain_path.generate(*asked, last=last)
            else:
                yield from shared.generate(*asked, shared.limits(self.loaded, self.max_kv_gib, max_new_tokens))
        except NotFinite as error:
            raise NotFinite([rows[index] for index in error.which]) from None
