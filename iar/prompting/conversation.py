"""A conversation as every model is given it, local or remote: turns of text and images, the open question last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.sample import Sample

if TYPE_CHECKING:
    from iar.revision.configuration import Configuration

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Turn:
    """What one side says; its images stand before its text."""

    role: Role
    text: str
    images: tuple[Path, ...] = ()


Conversation = tuple[Turn, ...]
Compose = Callable[[Sample, "Configuration"], Conversation]
"""What is said for a sample under a configuration."""


def begun(conversation: Conversation) -> str:
    """The beginning of the answer that the conversation ends with; "" where the question is last."""
    return conversation[-1].text if conversation[-1].role == "assistant" else ""


def plain(sample: Sample, configuration: Configuration | None = None) -> Conversation:
    """The protocol's own prompt and nothing else: a single user turn."""
    return (Turn("user", sample.prompt, sample.images),)
