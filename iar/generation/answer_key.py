"""The key of an answer: what could change it, and nothing else, wherever it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from iar import records
from iar.prompting import Conversation
from iar.revision.configuration import Configuration

if TYPE_CHECKING:
    from iar.generation.sampling import Sampling


def answer_key(
    conversation: Conversation,
    configuration: Configuration,
    max_new_tokens: int,
    *,
    model: str,
    vectors: Mapping[str, str],
    sampling: Sampling | None = None,
    strength: float | None = None,
) -> str:
    """SHA-256 over what is said with the images' bytes, the decoding, the model and what is added to it.

    Args:
        model: The model's fingerprint.
        vectors: Name of a vector file -> digest of its vectors, and ``NAME:gates`` -> that of its gates.
        strength: What a KL budget allows, where the configuration has one.

    Raises:
        UserError: An image cannot be read.
    """
    return records.key(
        conversation=[[turn.role, turn.text] for turn in conversation],
        images=[[records.image_digest(path) for path in turn.images] for turn in conversation],
        decoding={"max_new_tokens": max_new_tokens}
        | ({"method": "sampling"} | asdict(sampling) if sampling else {"method": "greedy"}),
        model=model,
        configuration=_revision(configuration, strength) if configuration.steered else {"method": "none"},
        vectors=_vectors(configuration, vectors) if configuration.steered else None,
    )


def _revision(configuration: Configuration, strength: float | None) -> dict[str, Any]:
    return configuration.revision | ({} if strength is None else {"strength": strength})


def _vectors(configuration: Configuration, vectors: Mapping[str, str]) -> str:
    found = vectors[configuration.source]
    return found + vectors[f"{configuration.source}:gates"] if configuration.conditional else found
