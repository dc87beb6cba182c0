"""Which errors are tried again, which fail one request, and which stop the run.

| error | consequence |
|---|---|
| 408, 409, 425, 429, 5xx, connection reset, time-out, a body that is torn, empty or no completion | tried again |
| 400, 413, 422 and other 4xx | that request fails at once |
| 400, 403, 422 with a content filter's code | that request is ``filtered`` |
| 3xx | the run stops with one line: redirects are not followed |
| 401, 403, 404, 405, 402 and quota spent, a parameter that the model does not take | the run stops with one line |
"""

from __future__ import annotations

import re
from typing import Any

import openai

from iar.errors import UserError
from iar.remote import completion
from iar.remote.backoff import retry_after
from iar.remote.completion import Completion
from iar.remote.endpoint import Endpoint
from iar.remote.failure_kinds import Failure
from iar.terminal.redaction import Redaction

AGAIN = (408, 409, 425, 429)
_FILTER = re.compile(
    r"content_?filter|content_?policy|moderation|data_?inspection|responsible_?ai|safety|invalid_prompt"
)
_SCHEMA = re.compile(r"response_?format|json_?schema|structured.?output|guided|grammar", re.IGNORECASE)
# A refused parameter, and the setting that says what to send instead.
_SETTINGS = {
    "max_tokens": "token_field=max_completion_tokens",
    "max_completion_tokens": "token_field=max_tokens",
    "temperature": "temperature=null",
}


class Again(Exception):
    """A failure that may pass: the request is tried again.

    Attributes:
        failure: Of the request, if no attempt is left.
        retry_after: Seconds that the endpoint asks to wait.
        crowded: Too many requests: without advice, a longer wait is wise.
        usage: Tokens that the failed attempt was billed.
        unreachable: No connection was made.
    """

    def __init__(
        self,
        failure: Failure,
        reason: str,
        retry_after: float | None = None,
        usage: tuple[int, int] | None = None,
        unreachable: bool = False,
        crowded: bool = False,
    ) -> None:
        super().__init__(reason)
        self.failure: Failure = failure
        self.reason = reason
        self.retry_after = retry_after
        self.usage = usage
        self.unreachable = unreachable
        self.crowded = crowded


class Unstructured(Exception):
    """The endpoint takes no ``response_format`` with a JSON schema; holds what it said."""


def of_connection(error: openai.APIConnectionError, redaction: Redaction) -> Again:
    """What a connection that could not be made, broke or timed out means."""
    causes = [type(cause).__name__ for cause in _chain(error)]
    unreachable = any(name in ("ConnectError", "ConnectTimeout", "ProxyError") for name in causes)
    last = _chain(error)[-1]
    said = redaction.one_line(str(last) or type(last).__name__)
    if isinstance(error, openai.APITimeoutError):
        return Again(
            "timed out", "no connection in time" if unreachable else "no reply in time", unreachable=unreachable
        )
    return Again(
        "error", f"no connection: {said}" if unreachable else f"connection broke: {said}", unreachable=unreachable
    )


def of_status(error: openai.APIStatusError, endpoint: Endpoint, redaction: Redaction, structured: bool) -> Completion:
    """What an HTTP error means for its request.

    Args:
        structured: Whether the request held a ``response_format``.

    Raises:
        Again: Try again.
        Unstructured: Try again without ``response_format``.
        UserError: No request can succeed; one line that names what to change.
    """
    status, details = error.status_code, _details(error.body)
    said = redaction.one_line(str(details.get("message") or error.response.text or ""))
    codes = _codes(details)
    billed = completion.usage(_json(error))
    if status in (400, 403, 422) and (_FILTER.search(codes) or _flagged(details)):
        return Completion("", "filtered", f"{status}: {said}", billed)
    place = redaction.one_line(error.response.headers.get("Location", ""))
    _stop(status, codes, str(details.get("param") or ""), said, place, endpoint)
    if structured and status in (400, 422, 501) and _SCHEMA.search(f"{details.get('param')} {said}"):
        raise Unstructured(said)
    if status in AGAIN or status >= 500:
        advised = retry_after(error.response.headers, details)
        raise Again("error", f"{status}: {said}", advised, billed, crowded=status == 429)
    return Completion("", "error", f"{status}: {said}", billed)


def _stop(status: int, codes: str, parameter: str, said: str, place: str, endpoint: Endpoint) -> None:
    where, kept = f"{endpoint.model} at {endpoint.base_url}", "what was answered is kept"
    if status < 400:
        raise UserError(
            f"{where} sends requests on to {place or 'another place'} ({status}), which is not followed: if you trust "
            f"that place, set endpoint.base_url to it; {kept}"
        )
    if status in (401, 403):
        refused = "refuses the key" if status == 401 else "does not permit this"
        way = (
            f"check the environment variable {endpoint.key_name}"
            if endpoint.key_name
            else "it wants a key: set endpoint.key_name to the name of the variable that holds it"
        )
        raise UserError(f"{where} {refused} ({status}{_quoted(said) if status == 403 else ''}): {way}; {kept}")
    if status in (404, 405) or "model_not_found" in codes:
        raise UserError(
            f"{where}: no such model or URL ({status}{_quoted(said)}): check endpoint.model and endpoint.base_url; "
            f"{kept}"
        )
    if status == 402 or "insufficient_quota" in codes:
        raise UserError(f"{where}: the account's quota is spent ({status}{_quoted(said)}): top it up; {kept}")
    if status == 400 and "unsupported" in codes and parameter in _SETTINGS:
        raise UserError(f"{where} does not take this {parameter}: set endpoint.{_SETTINGS[parameter]}; {kept}")


def _quoted(said: str) -> str:
    return f", {said[:100]}" if said else ""


def _details(body: Any) -> dict[str, Any]:
    """The error in a body; Google's endpoint wraps it into a list."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    return body if isinstance(body, dict) else {}


def _codes(details: dict[str, Any]) -> str:
    """Codes and types of an error, those that some servers nest included."""
    inner = details.get("innererror")
    found = [details.get("code"), details.get("type"), inner.get("code") if isinstance(inner, dict) else None]
    return " ".join(str(code).lower() for code in found if code)


def _flagged(details: dict[str, Any]) -> bool:
    """OpenRouter's way of telling that a moderation model stopped a request."""
    metadata = details.get("metadata")
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _json(error: openai.APIStatusError) -> Any:
    try:
        return error.response.json()
    except ValueError:
        return None


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) is not None and cause not in found:
        found.append(cause)
    return found
