"""An OpenAI-compatible chat endpoint: where it is, which variable holds its key, and what it takes.

The key is read from the environment when requests are sent and is kept nowhere else.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from iar.errors import UserError, did_you_mean

TOKEN_FIELDS = ("max_tokens", "max_completion_tokens")
# Does not repeat what it found: it may be the key itself.
_NO_KEY = (
    "endpoint.key_name is the NAME of an environment variable in capital letters, such as OPENAI_API_KEY, or null; "
    "never the key"
)


@dataclass(frozen=True)
class Endpoint:
    """One model at one URL.

    Attributes:
        model: The name sent in requests.
        base_url: Up to the version, as for the ``openai`` client; ``/chat/completions`` is added to it.
        key_name: NAME of the environment variable that holds the key, in capital letters; None: none is sent.
        concurrency: Requests in flight at once, at most.
        timeout: Seconds for one attempt as a whole; at most 10 of them for the connection.
        attempts: Tries a request, the first included.
        price_in: USD per million tokens read; None: unknown.
        price_out: USD per million tokens written.
        max_images: Images a request may hold; None: any number.
        max_image_bytes: Bytes of one image as sent, in base64; a bigger image is sent as a smaller JPEG.
        max_image_side: Pixels of an image's longer side; a bigger image is shrunk.
        image_tokens: Tokens an image is taken to cost in estimates.
        token_field: What the endpoint calls its limit on the answer's length: one of ``TOKEN_FIELDS``.
        temperature: None: not sent.
        structured: Whether ``response_format`` with a JSON schema may be sent.

    Raises:
        UserError: A value out of its range; a URL that is not http(s) or that holds a password; a ``key_name`` that
            may be a key.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    key_name: str | None = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 60.0
    attempts: int = 6
    price_in: float | None = None
    price_out: float | None = None
    max_images: int | None = None
    max_image_bytes: int = 5_000_000
    max_image_side: int = 2048
    image_tokens: int = 1000
    token_field: str = "max_tokens"
    temperature: float | None = 0.0
    structured: bool = True

    def __post_init__(self) -> None:
        if not self.model:
            raise UserError("an endpoint needs a model name: set endpoint.model")
        if self.key_name is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", self.key_name):
            raise UserError(_NO_KEY)
        object.__setattr__(self, "base_url", _normal(self.base_url))
        if self.token_field not in TOKEN_FIELDS:
            raise UserError(
                f"endpoint.token_field={self.token_field!r}: {did_you_mean(self.token_field, TOKEN_FIELDS)}"
            )
        for name, least in (("concurrency", 1), ("attempts", 1), ("max_image_bytes", 1024), ("max_image_side", 16)):
            if not getattr(self, name) >= least:
                raise UserError(f"endpoint.{name}={getattr(self, name)} of {self.model}: at least {least}")
        if not 0 < self.timeout <= 86400:
            raise UserError(f"endpoint.timeout={self.timeout} of {self.model}: seconds, above 0 and at most a day")
        for name in ("price_in", "price_out", "max_images", "image_tokens", "temperature"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                raise UserError(f"endpoint.{name}={value} of {self.model}: at least 0")
        if (self.price_in is None) != (self.price_out is None):
            raise UserError(f"{self.model}: set both endpoint.price_in and endpoint.price_out, or neither")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Endpoint:
        """The endpoint that a settings group describes, with the defaults above.

        Raises:
            UserError: An unknown setting, no model, or a value that is not an endpoint's.
        """
        given = {str(name): settings[name] for name in settings}
        known = [field.name for field in dataclasses.fields(cls)]
        for name in given:
            if name not in known:
                raise UserError(f"unknown setting endpoint.{name}: {did_you_mean(name, known)}")
        if not given.get("model"):
            raise UserError("an endpoint needs a model name: set endpoint.model")
        for field in dataclasses.fields(cls):
            if field.name in given:
                given[field.name] = _typed(field.name, str(field.type), given[field.name])
        return cls(**given)

    def describe(self) -> dict[str, Any]:
        """What can change an answer, as plain data: part of every request's key and of a run's definition."""
        return {"model": self.model, "base_url": self.base_url, "temperature": self.temperature}

    def key(self) -> str:
        """The key, from the environment; "" where the endpoint wants none.

        Raises:
            UserError: The variable is not set, or holds what cannot be a key; its value is never told.
        """
        if self.key_name is None:
            return ""
        key = os.environ.get(self.key_name, "").strip()
        if not key:
            raise UserError(
                f"{self.model} at {self.base_url} needs a key: set the environment variable {self.key_name}"
            )
        if not re.fullmatch(r"[!-~]+", key):
            raise UserError(
                f"the environment variable {self.key_name} holds no key: it has spaces or non-ASCII characters"
            )
        return key

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """USD for that many tokens; None where the prices are unknown."""
        if self.price_in is None or self.price_out is None:
            return None
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6


def _normal(url: str) -> str:
    """The URL without a trailing slash, scheme and host in lower case, so that one endpoint has one name."""
    url = str(url).strip()
    if re.search(r"\s|[^ -~]", url):
        raise UserError(
            "endpoint.base_url has spaces or non-ASCII characters: use a URL such as http://localhost:8000/v1"
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme.lower() not in ("http", "https"):
        raise UserError("endpoint.base_url is not a URL such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        # Either can hold a password: name the host alone.
        raise UserError(
            f"endpoint.base_url of {host} holds more than a host and a path: put the key in key_name's variable"
        )
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _typed(name: str, kind: str, value: Any) -> Any:
    """The value as the field's type: ``60`` is a time-out of 60.0 seconds, ``"8"`` is not a number of requests."""
    wanted = kind.split(" | ")
    if value is None and "None" in wanted:
        return None
    if "bool" in wanted and isinstance(value, bool):
        return value
    if "str" in wanted and isinstance(value, str):
        return value
    if not isinstance(value, bool) and isinstance(value, (int, float)):
        if "float" in wanted:
            return float(value)
        if "int" in wanted and float(value).is_integer():
            return int(value)
    if name == "key_name":
        raise UserError(_NO_KEY)
    raise UserError(f"endpoint.{name}={value!r}: must be {kind.replace('None', 'null')}")
