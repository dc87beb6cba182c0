"""One request to a chat endpoint, and its key: what could change the reply, the images' content included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iar import records
from iar.prompting.conversation import Conversation
from iar.remote.endpoint import Endpoint

FORMAT = 1
"""Raised whenever the same request is sent in other words, so that no earlier reply is taken for its own."""


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        conversation: The turns, the open question last.
        max_tokens: The most tokens of the reply.
        schema: JSON schema of the object that is wanted as the reply; None: free text.
        seed: Of the endpoint's sampling; None: not sent.
    """

    conversation: Conversation
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    seed: int | None = None

    @property
    def images(self) -> int:
        """Number of images in all turns."""
        return sum(len(turn.images) for turn in self.conversation)


def request_key(endpoint: Endpoint, request: Request) -> str:
    """SHA-256 (hex) over the endpoint, the turns, the images' bytes, the decoding and the schema.

    How far images may be shrunk is part of it only where there are any.

    Raises:
        UserError: An image cannot be read.
    """
    return records.key(
        format=FORMAT,
        endpoint=endpoint.describe(),
        conversation=[[turn.role, turn.text] for turn in request.conversation],
        images=[[records.image_digest(path) for path in turn.images] for turn in request.conversation],
        image_limits=[endpoint.max_image_bytes, endpoint.max_image_side] if request.images else None,
        decoding={"max_tokens": request.max_tokens, "seed": request.seed},
        schema=request.schema if endpoint.structured else None,
    )
