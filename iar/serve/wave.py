"""The answers of requests that are computed together: their prompts, each under all its settings, are one call.

An answer is told as soon as it has ended, whatever the others still need. What is told is what the toolkit's own
engine answers (`iar.generation.engine`): the same template, pictures, tokens and text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmark import thoughts
from benchmark.errors import DataError
from iar import records
from iar.errors import UserError
from iar.generation import shared
from iar.generation.finite import REASON, NotFinite
from iar.generation.row import decode, end_tokens, read
from iar.generation.sampling import GumbelSampling, Sampling
from iar.generation.tree import Branch, Decoding, Limits, Place, Request, answer
from iar.generation.tree.answer import out_of_memory
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.serve.job import Choice, Job, Part
from iar.serve.picture import draw
from iar.serve.refused import Refused
from iar.serve.setting import gate_report
from iar.serve.text import cut, settled
from iar.vectors.vector_set import VectorSet


class Waves:
    """Answers jobs on one model, in one thread.

    Args:
        default_tokens: Of an answer whose request does not say.
        max_kv_gib: Memory for the keys and values of what is computed at once, in GiB.
    """

    def __init__(self, loaded: LoadedModel, vectors: VectorSet, default_tokens: int, max_kv_gib: float = 4.0) -> None:
        self.loaded = loaded
        self.categories = vectors.gates.categories if vectors.gates else ()
        self.default_tokens = default_tokens
        self.limits = shared.limits(loaded, max_kv_gib)
        config: Any = loaded.model.config.get_text_config(decoder=True)
        self.context: int | None = getattr(config, "max_position_embeddings", None)
        self.ends = frozenset(end_tokens(loaded))

    def run(self, jobs: Sequence[Job]) -> None:
        """Every choice is over afterwards, and told."""
        asked: list[tuple[Job, dict[str, Tensor]]] = []
        for job in jobs:
            try:
                asked.append((job, self._encoded(job)))
            except (UserError, DataError) as error:
                job.refuse(Refused(str(error), param="messages"))
            except Refused as error:
                job.refuse(error)
        while asked := [(job, inputs) for job, inputs in asked if not job.over and not job.unwanted]:
            try:
                _Wave(self, asked).run(self.limits)
            except NotFinite as error:
                for job, choice in error.which:
                    _end(job, choice, failed=Refused(REASON, 422, "not_finite", "iar"))
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                for job, _ in asked:
                    job.refuse(Refused("no memory left for this request: ask for less", 503, "out_of_memory"))

    def _encoded(self, job: Job) -> dict[str, Tensor]:
        """The model's inputs for a job's prompt."""
        loaded, asked = self.loaded, job.asked
        prompt = chat.converse(loaded, asked.conversation)
        pictures = [draw(content, f"image {i + 1}") for i, content in enumerate(asked.pictures)]
        inputs = chat.encode_rendered(loaded, prompt, pictures)
        job.prompt_tokens, job.opening = inputs["input_ids"].shape[1], thoughts.opening(prompt)
        job.stop = (*loaded.stop, *asked.stop)
        room = (self.context or 1 << 30) - job.prompt_tokens
        job.max_tokens = asked.max_tokens or max(1, min(self.default_tokens, room))
        if job.max_tokens > room:
            raise Refused(
                f"the prompt has {job.prompt_tokens} tokens with its images and the answer may have {job.max_tokens}: "
                f"this model takes {self.context} in all",
                400,
                "context_length_exceeded",
                "messages",
            )
        if asked.sampling is not None:
            images = [hashlib.sha256(content).hexdigest() for content in asked.pictures]
            for choice in job.choices:
                setting = choice.configuration.to_dict()
                choice.key = records.key(prompt=prompt, images=images, setting=setting, choice=choice.index)
        return inputs


class _Wave:
    """One call of the tree; it follows every answer (`iar.generation.tree.Follower`)."""

    def __init__(self, waves: Waves, asked: Sequence[tuple[Job, dict[str, Tensor]]]) -> None:
        self.waves = waves
        self.rows: list[tuple[Job, list[Choice]]] = []
        self.requests: list[Request] = []
        for job, inputs in asked:
            choices = [choice for choice in job.choices if not choice.over]
            self.rows.append((job, choices))
            branches = [Branch(choice.revision, choice.configuration.positions) for choice in choices]
            self.requests.append(Request(inputs, branches))

    def run(self, limits: Limits) -> None:
        """Raises:
        NotFinite: With the (job, choice) whose logits are not finite; the others have not ended.
        """
        drawn = any(job.asked.sampling for job, _ in self.rows)
        most = max(job.max_tokens for job, _ in self.rows)
        decoding = Decoding(most, self.waves.ends, perturb=self._perturb if drawn else None, follow=self)
        try:
            for _ in answer(self.waves.loaded, self.requests, decoding, limits):
                pass  # told by `grew` already
        except NotFinite as error:
            broken = [self._at(place) for place in error.which]
            raise NotFinite([(job, choice) for job, choice in broken if not choice.over]) from None

    def _at(self, place: Place) -> tuple[Job, Choice]:
        job, choices = self.rows[place[0]]
        return job, choices[place[1]]

    def _perturb(self, places: Sequence[Place], step: int, scores: Tensor) -> Tensor:
        """Each row's noise, where it is drawn."""
        kinds: dict[Sampling, list[int]] = {}
        for row, place in enumerate(places):
            sampling = self._at(place)[0].asked.sampling
            if sampling is not None:
                kinds.setdefault(sampling, []).append(row)
        scores = scores.clone()
        for sampling, rows in kinds.items():
            noise = GumbelSampling(sampling, [self._at(places[row])[1].key for row in rows])
            noise.prompt_length = 0
            scores[rows] = noise(torch.empty(len(rows), step), scores[rows]).to(scores)
        return scores

    def read(self, place: Place, probabilities: Tensor) -> None:
        _, choice = self._at(place)
        read = probabilities.detach().to("cpu", copy=True)
        choice.gate = gate_report(choice.configuration, choice.revision, read, self.waves.categories)

    def grew(self, places: Sequence[Place], step: int, tokens: Sequence[int]) -> list[bool]:
        return [self._grew(*self._at(place), step, token) for place, token in zip(places, tokens, strict=True)]

    def _grew(self, job: Job, choice: Choice, step: int, token: int) -> bool:
        """Whether the answer ends with this token."""
        if choice.over or job.unwanted:
            return True
        choice.ids[step:] = [token]  # an answer that is begun again overwrites itself
        ended = token in self.waves.ends
        if job.asked.stream or job.stop:
            whole = decode(self.waves.loaded, choice.ids)
            ended = ended or cut(whole, job.stop) != whole
            if not ended and job.asked.stream:
                self._stream(job, choice, settled(f"{job.opening}{whole.lstrip()}", job.stop))
        if ended or len(choice.ids) == job.max_tokens:
            text, choice.tokens = read(replace(self.waves.loaded, stop=job.stop), choice.ids)
            choice.text = f"{job.opening}{text}".strip()
            if job.asked.stream:
                self._stream(job, choice, choice.text)
            _end(job, choice, "stop" if ended else "length")
        return choice.over

    def _stream(self, job: Job, choice: Choice, text: str) -> None:
        """What is new in the text of an answer."""
        if choice.sent.startswith(text):
            return
        if not text.startswith(choice.sent):
            # In 16 bits an answer that is begun again may be another one.
            failed = Refused("the answer had to be begun again and came out otherwise: ask again", 500, "diverged")
            _end(job, choice, failed=failed)
            return
        job.tell(Part(choice, text[len(choice.sent) :]))
        choice.sent = text


def _end(job: Job, choice: Choice, finish: str = "", failed: Refused | None = None) -> None:
    if not choice.over:
        choice.finish, choice.failed = finish, failed
        job.tell(choice)
