"""What answers samples under configurations, wherever the model runs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from benchmark.sample import Sample
from iar.prompting import Compose
from iar.revision.configuration import Configuration

NOT_FINITE = "not finite"  # how the error begins of an answer whose logits were not finite


@dataclass(frozen=True)
class Generation:
    """One answer.

    Attributes:
        answer: The generated text without special tokens and surrounding whitespace; empty when there is an error.
        tokens: Number of generated tokens, the closing end-of-turn token not counted.
        error: Why there is no answer (an unreadable image, say), else None.
        key: Digest of everything that could change the answer; empty when there is an error that may pass.
        seconds: Its share of the time that its batch took.
        prompt_tokens: Length of what was asked, in tokens with its images'; None where it is not known.
    """

    sample: Sample
    configuration: Configuration
    answer: str
    tokens: int
    error: str | None
    key: str
    seconds: float = 0.0
    prompt_tokens: int | None = None


class Answering(Protocol):
    """A model that is asked: `iar.generation.Engine` on this machine, `iar.generation.RemoteEngine` at an endpoint."""

    @property
    def compose(self) -> Compose:
        """What is said for a sample under a configuration."""

    def describe(self) -> dict[str, Any]:
        """The model (id, revision, dtype, digest) and the vectors' digests: part of a run's definition."""

    def check(self, configuration: Configuration) -> None:
        """Raises UserError for what this model cannot do, before anything is asked."""

    def key(self, sample: Sample, configuration: Configuration, max_new_tokens: int) -> str:
        """Digest of everything that could change the answer; UserError for an image that cannot be read."""

    def run(
        self,
        samples: Iterable[Sample],
        configurations: Iterable[Configuration],
        max_new_tokens: int,
        skip: Container[tuple[str, str]] = (),
    ) -> Iterator[Generation]:
        """Every sample under every configuration but those in ``skip`` (sample id, configuration name)."""
