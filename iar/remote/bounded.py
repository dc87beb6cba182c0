"""The HTTP client of endpoints: it goes where the settings say and nowhere else, and reads so much and no more.

Redirects are not followed: they would send questions, images and perhaps the key to a place that nobody named, and 301
turns a POST into a GET, whose reply would be taken for an answer. A reply counts as it unpacks, since half a megabyte
of gzip can hold half a gigabyte.
"""

from __future__ import annotations

from typing import Any

import openai

LIMIT = 8 << 20
"""Bytes of a reply, unpacked; an answer of 100,000 tokens takes about half a megabyte."""
ENCODINGS = ("", "identity", "gzip", "deflate")
"""One of them, once: gzip in gzip unpacks to a million times its size."""


class TooLarge(Exception):
    """A reply that is larger than `LIMIT`, or packed otherwise than asked for."""


class BoundedClient(openai.DefaultAsyncHttpxClient):
    """openai's own client with both limits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(follow_redirects=False, **options)
        self.headers["Accept-Encoding"] = "gzip, deflate"

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """The whole reply, also where a stream is asked for.

        Raises:
            TooLarge: It is refused; the connection is closed.
        """
        response = await super().send(request, stream=True, **options)
        try:
            packed = response.headers.get("Content-Encoding", "").strip().lower()
            if packed not in ENCODINGS:
                raise TooLarge(f"the reply is packed as {packed[:40]!r}, which nobody asked for")
            content = bytearray()
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > LIMIT:
                    raise TooLarge(f"the reply is larger than {LIMIT:,} bytes")
        finally:
            await response.aclose()
        kept = [(k, v) for k, v in response.headers.items() if k.lower() not in ("content-encoding", "content-length")]
        return type(response)(response.status_code, headers=kept, content=bytes(content), request=request)
