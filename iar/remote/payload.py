"""A request in the words of the chat completions API: text and image parts, limits, and the wanted schema."""

from __future__ import annotations

from typing import Any

from iar.prompting.conversation import Conversation, Turn
from iar.remote.endpoint import Endpoint
from iar.remote.images import data_uri
from iar.remote.request import Request


def arguments(endpoint: Endpoint, request: Request, structured: bool) -> dict[str, Any]:
    """Arguments of ``chat.completions.create``.

    Args:
        structured: Whether the schema, if there is one, is sent as ``response_format``.

    Raises:
        UserError: An image cannot be read.
    """
    wanted: dict[str, Any] = {
        "model": endpoint.model,
        "messages": messages(endpoint, request.conversation),
        endpoint.token_field: request.max_tokens,
    }
    if endpoint.temperature is not None:
        wanted["temperature"] = endpoint.temperature
    if request.seed is not None:
        wanted["seed"] = request.seed
    if request.schema is not None and structured:
        schema = {"name": "answer", "schema": dict(request.schema), "strict": True}
        wanted["response_format"] = {"type": "json_schema", "json_schema": schema}
    return wanted


def messages(endpoint: Endpoint, conversation: Conversation) -> list[dict[str, Any]]:
    """One message a turn. A turn with images is a list of parts, images first; one without is plain text."""
    return [{"role": turn.role, "content": _content(endpoint, turn)} for turn in conversation]


def _content(endpoint: Endpoint, turn: Turn) -> str | list[dict[str, Any]]:
    # Half a surrogate pair, which a judged answer may hold, cannot be sent as UTF-8.
    text = turn.text.encode("utf-8", "replace").decode("utf-8")
    if not turn.images:
        return text
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": data_uri(endpoint, path)}} for path in turn.images
    ]
    if text:  # some endpoints refuse an empty part
        parts.append({"type": "text", "text": text})
    return parts
