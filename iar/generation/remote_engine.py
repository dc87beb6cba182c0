"""Answers of a model that runs elsewhere, behind an OpenAI-compatible chat endpoint.

What counts as an answer: the text that the model wrote; so does the text of a refusal that the endpoint marks as one
(``message.refusal``), it is the model that declines. No answer, with its reason: a content filter's stop (it is not the
model's decision), an empty reply (a filter, or thinking that used up the length: it does not tell), a time-out, an
error, a spent budget. Those samples are unscored, and the same command asks them again.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmark.sample import Sample
from iar import records
from iar.errors import UserError
from iar.generation.answering import Generation
from iar.prompting import Compose, plain
from iar.remote import images
from iar.remote.request import Request, request_key
from iar.revision.configuration import Configuration

if TYPE_CHECKING:
    from iar.remote.budget import Budget, Estimate
    from iar.remote.client import Client
    from iar.remote.reply import Reply

_QUESTION = Sample("", "", "", "", (), "", "")  # any question: what stands before it is looked at, not itself


@dataclass
class _Row:
    """One request, and who asked it: identical requests are sent once."""

    request: Request
    owners: list[tuple[Sample, Configuration]] = field(default_factory=list)


class RemoteEngine:
    """Asks an endpoint samples under configurations that change the prompt; its activations are out of reach.

    Args:
        client: Of the endpoint; its cache, its budget and its limits are its own.
        compose: What is said for a sample under a configuration; by default its prompt alone.
        thinking_tokens: Tokens a model may think before it answers, where an endpoint counts these as part of the
            answer's length; asked for on top of that length. The answer may then be longer than the protocol has it.
    """

    def __init__(self, client: Client, compose: Compose = plain, thinking_tokens: int = 0) -> None:
        self.client = client
        self.endpoint = client.endpoint
        self.compose = compose
        self.thinking_tokens = thinking_tokens

    @property
    def budget(self) -> Budget:
        """What the command may spend, to share with other requests of it (a judge's)."""
        return self.client.budget

    def describe(self) -> dict[str, Any]:
        """The model as part of a run's definition; an endpoint does not tell its weights, so its name stands for it."""
        digest = records.key(endpoint=self.endpoint.describe(), thinking_tokens=self.thinking_tokens)
        model = {"id": self.endpoint.model, "revision": self.endpoint.base_url, "dtype": "remote", "digest": digest}
        return {"model": model, "vectors": {}}

    def check(self, configuration: Configuration) -> None:
        """Raises what no request could do.

        Raises:
            UserError: The configuration steers, or shows more images than the endpoint takes.
        """
        if configuration.steered:
            raise UserError(
                f"method={configuration.method} needs a model's activations: model {self.endpoint.model} runs at an "
                "endpoint; use method=cot|prompt|fewshot, or an open model"
            )
        most = self.endpoint.max_images
        shown = sum(len(turn.images) for turn in self.compose(_QUESTION, configuration))
        if shown and most is not None and shown + 1 > most:
            raise UserError(
                f"method={configuration.method} with shots={configuration.shots} shows {shown} images before the "
                f"question's own: model {self.endpoint.model} takes {most} in a request (model.endpoint.max_images); "
                "use fewer shots, or another model"
            )

    def key(self, sample: Sample, configuration: Configuration, max_new_tokens: int) -> str:
        """The key of the answer that `run` would give.

        Raises:
            UserError: An image cannot be read, or there are more of them than the endpoint takes.
        """
        return request_key(self.endpoint, self._request(sample, configuration, max_new_tokens))

    def run(
        self,
        samples: Iterable[Sample],
        configurations: Iterable[Configuration],
        max_new_tokens: int,
        skip: Container[tuple[str, str]] = (),
    ) -> Iterator[Generation]:
        """Every sample under every configuration but those in ``skip``, each as soon as its reply is there.

        Tokens are those that the endpoint bills as output (with the end-of-turn token and the thinking, where it counts
        them); seconds are those of the request, shared among those who asked the same.

        Raises:
            UserError: Before anything is sent: a configuration that steers or shows too many images; no key.
        """
        configurations = list(configurations)
        for configuration in configurations:
            self.check(configuration)
        rows: dict[str, _Row] = {}
        for sample, configuration in _wanted(samples, configurations, skip):
            try:
                request = self._request(sample, configuration, max_new_tokens)
                key = request_key(self.endpoint, request)
            except UserError as error:
                yield Generation(sample, configuration, "", 0, str(error), "")
                continue
            rows.setdefault(key, _Row(request)).owners.append((sample, configuration))
        keys = list(rows)
        for index, reply in self.client.ask([row.request for row in rows.values()]):
            owners = rows[keys[index]].owners
            answer, why = _answer(reply)
            seconds = reply.seconds / len(owners)
            for sample, configuration in owners:
                if why:
                    yield Generation(sample, configuration, "", 0, why, "", seconds)
                else:
                    tokens, read = reply.tokens_out, reply.tokens_in
                    yield Generation(sample, configuration, answer, tokens, None, keys[index], seconds, read)

    def estimate(
        self, samples: Iterable[Sample], configurations: Iterable[Configuration], max_new_tokens: int
    ) -> Estimate:
        """What `run` would send and spend at most, as far as it can be asked; nothing is sent."""
        requests: dict[str, Request] = {}
        for sample, configuration in _wanted(samples, list(configurations)):
            try:
                request = self._request(sample, configuration, max_new_tokens)
                requests[request_key(self.endpoint, request)] = request
            except UserError:  # it will be reported as unscored
                continue
        return self.client.estimate(list(requests.values()))

    def _request(self, sample: Sample, configuration: Configuration, max_new_tokens: int) -> Request:
        conversation = self.compose(sample, configuration)
        images.check(self.endpoint, conversation)
        return Request(conversation, max_new_tokens + self.thinking_tokens)


def _wanted(
    samples: Iterable[Sample], configurations: Iterable[Configuration], skip: Container[tuple[str, str]] = ()
) -> Iterator[tuple[Sample, Configuration]]:
    return ((s, c) for s in samples for c in configurations if (s.id, c.name) not in skip)


def _answer(reply: Reply) -> tuple[str, str | None]:
    """The answer, or why there is none."""
    text = reply.text.strip()
    if text and reply.failure in ("", "refused"):
        return text, None
    failure = reply.failure or "empty"
    return "", f"{failure}: {reply.reason}" if reply.reason else failure
