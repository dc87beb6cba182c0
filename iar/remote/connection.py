"""One attempt at one request, through the ``openai`` client; its own retries are off."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import openai

from benchmark.untrusted import parse_json
from iar.remote import completion, failures
from iar.remote.bounded import BoundedClient, TooLarge
from iar.remote.completion import Completion
from iar.remote.endpoint import Endpoint
from iar.remote.failures import Again
from iar.terminal import log_file
from iar.terminal.redaction import Redaction

CONNECT_SECONDS = 10.0


class Connection:
    """An open client of an endpoint, with its key from the environment.

    Raises:
        UserError: The variable of the key is not set.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        key = endpoint.key()
        self._endpoint = endpoint
        self._redaction = Redaction(key)
        log_file.hide(key)
        # The client would read its own variables from the environment: nobody's key or organisation goes to a server
        # that the settings do not send it to.
        self._headers: dict[str, Any] = {} if key else {"Authorization": openai.Omit()}
        if not (urlsplit(endpoint.base_url).hostname or "").endswith("openai.com"):
            self._headers |= {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=(limit := openai.Timeout(endpoint.timeout, connect=min(CONNECT_SECONDS, endpoint.timeout))),
            http_client=BoundedClient(timeout=limit),
        )

    async def close(self) -> None:
        await self._client.close()

    async def send(self, arguments: dict[str, Any]) -> Completion:
        """What the endpoint answers, within the endpoint's time.

        Raises:
            Again: Nothing usable came, and another attempt may bring it.
            Unstructured: It takes no ``response_format``.
            UserError: It can answer no request of this run.
        """
        try:
            # The client's own time-out is one a piece of the reply: a server that drips would never end.
            return await asyncio.wait_for(self._send(arguments), self._endpoint.timeout)
        except asyncio.TimeoutError:
            raise Again("timed out", f"no reply in {self._endpoint.timeout:g} s") from None

    async def _send(self, arguments: dict[str, Any]) -> Completion:
        try:
            response = await self._client.chat.completions.with_raw_response.create(
                **arguments, extra_headers=self._headers
            )
        except TooLarge as error:  # as it would be the next time
            return Completion("", "error", self._redaction.one_line(str(error)))
        except (openai.APIStatusError, openai.APIConnectionError) as error:
            failed = error
        else:
            return self._read(response.http_response.content)
        # Outside of the handler: what is raised here does not carry the endpoint's own words, which may hold the key.
        if isinstance(failed, openai.APIStatusError):
            return failures.of_status(failed, self._endpoint, self._redaction, "response_format" in arguments)
        raise failures.of_connection(failed, self._redaction)

    def _read(self, content: bytes) -> Completion:
        # Read here and not by the client, which takes a body of another content type for an answer.
        body = _json(content)
        found = completion.read(body)
        if found is None:
            raise Again("error", _unread(content, body, self._redaction), usage=completion.usage(body))
        reason = self._redaction.one_line(found.reason)
        return Completion(self._redaction.hide(found.text), found.failure, reason, found.usage)


def _json(content: bytes) -> Any:
    try:
        return parse_json(content)
    except ValueError:
        return None


def _unread(content: bytes, body: Any, redaction: Redaction) -> str:
    if not content.strip():
        return "empty body"
    if body is None:
        return f"body is no JSON ({len(content)} bytes)"
    error = body.get("error") if isinstance(body, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return f"no completion: {redaction.one_line(str(said))}" if said else "JSON body is no completion"
