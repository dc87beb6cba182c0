"""A real HTTP server on this machine that speaks the OpenAI chat format and, if told so, misbehaves.

Which call goes wrong, and how, depends on the request's content, on how often it was sent and on the seed alone: not on
the order in which threads happen to run.
"""

from __future__ import annotations

import hashlib
import json
import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("429", "500", "hang", "reset", "torn", "truncated", "invalid", "html", "empty", "filtered", "echo")
LASTING = ("filtered", "echo")
"""Faults that end a request; after the others a second attempt may succeed."""


@dataclass(frozen=True)
class Raw:
    """An answer that is not a plain completion: any status, headers and body (text, bytes, or an object for JSON)."""

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def completion(text: str | None, finish_reason: str = "stop", refusal: str | None = None, usage: Any = None) -> Raw:
    """A completion as the API writes it; ``usage`` replaces the counted one (False: none at all)."""
    body: dict[str, Any] = {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": "test",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
            }
        ],
    }
    if usage is not False:
        body["usage"] = usage or {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return Raw(body=body)


def error(
    status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None, **more: Any
) -> Raw:
    """An error as the API writes it."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code} | more}
    return Raw(status, body, headers or {})


Answer = Callable[[list[dict[str, Any]]], "str | Raw"]


class ChatServer:
    """Serves ``/v1/chat/completions`` until closed.

    Args:
        answer: Messages -> the reply's text, or a `Raw`.
        faults: Share of the calls that go wrong.
        kinds: How; each as likely as the next.
        delay: Seconds that every answer takes.
        key: What the Authorization header must hold, else 401; None: anything.
        structured: Whether ``response_format`` is understood; else 400.
        hang: Seconds that a call with the fault ``hang`` is kept waiting, unless the client goes first.

    Attributes:
        calls: Every call's JSON body in order of arrival, with ``_authorization`` added.
        faulted: How often each fault was met.
        at_once: The most calls that were worked on at the same time.
        drip: Seconds after every byte of an answer's body; set it for a server that is never done.
    """

    def __init__(
        self,
        answer: Answer = lambda messages: "fine",
        *,
        faults: float = 0.0,
        kinds: Sequence[str] = FAULTS,
        seed: int = 0,
        delay: float = 0.0,
        key: str | None = None,
        structured: bool = True,
        hang: float = 20.0,
    ) -> None:
        self.answer, self.faults, self.kinds, self.seed = answer, faults, tuple(kinds), seed
        self.delay, self.key, self.structured, self.hang = delay, key, structured, hang
        self.drip = 0.0
        self.calls: list[dict[str, Any]] = []
        self.faulted: Counter[str] = Counter()
        self.at_once = 0
        self._now = 0
        self._sent: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.chat = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL, as an ``Endpoint`` wants it."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def close(self) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        for connection in self._http.connections:  # kept-alive ones would be served on
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> ChatServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def times_sent(self) -> list[int]:
        """How often each distinct request was sent."""
        return list(self._sent.values())

    def fault_of(self, digest: str, number: int) -> str:
        """The fault of the n-th call (from 1) with that content, or ""."""
        draw = random.Random(f"{self.seed} {digest} {number}")
        return draw.choice(self.kinds) if draw.random() < self.faults else ""

    def _arrived(self, body: dict[str, Any], authorization: str) -> str:
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            self._sent[digest] += 1
            self.calls.append(body | {"_authorization": authorization})
            fault = self.fault_of(digest, self._sent[digest])
            self.faulted[fault] += 1
            return fault

    def _working(self, more: int) -> None:
        with self._lock:
            self._now += more
            self.at_once = max(self.at_once, self._now)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    chat: ChatServer

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _chunks(content: bytes) -> list[bytes]:
    return [content[start : start + 4096] for start in range(0, len(content), 4096)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        chat = self.server.chat
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        authorization = self.headers.get("Authorization", "")
        fault = chat._arrived(body, authorization)
        if fault == "hang":
            self._hang(chat)
            return
        chat._working(1)
        try:
            if chat.delay:
                time.sleep(chat.delay)
            self._answer(self._raw(chat, body, authorization, fault), fault)
        finally:
            chat._working(-1)

    def _raw(self, chat: ChatServer, body: dict[str, Any], authorization: str, fault: str) -> Raw:
        if self.path != "/v1/chat/completions":
            return error(404, f"no route {self.path}")
        if chat.key is not None and authorization != f"Bearer {chat.key}":
            return error(401, f"Incorrect API key provided: {authorization}", "invalid_api_key")
        if "response_format" in body and not chat.structured:
            return error(400, "response_format json_schema is not supported", param="response_format")
        if fault == "429":
            return error(429, "slow down", "rate_limit_exceeded", {"Retry-After": "0.2"})
        if fault == "500":
            return error(500, "internal")
        if fault == "html":
            return Raw(200, "<html><body>Bad gateway</body></html>", content_type="text/html")
        if fault == "empty":
            return Raw(200, "")
        if fault == "invalid":
            return Raw(200, '{"choices": [}')
        if fault == "filtered":
            return completion("", "content_filter")
        if fault == "echo":
            return error(400, f"bad header Authorization: {authorization} ({authorization.split()[-1:]})")
        answered = chat.answer(body["messages"])
        return answered if isinstance(answered, Raw) else completion(answered)

    def _answer(self, raw: Raw, fault: str) -> None:
        if fault == "reset":
            self._reset()
            return
        body = raw.body if isinstance(raw.body, (str, bytes)) else json.dumps(raw.body)
        content = body.encode() if isinstance(body, str) else body
        if fault == "truncated":  # a proxy cut the JSON and counted what was left
            content = content[: len(content) // 2]
        self.send_response(raw.status)
        self.send_header("Content-Type", raw.content_type)
        if "Transfer-Encoding" in raw.headers:
            content = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in _chunks(content)) + b"0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(content)))
        for name, value in raw.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if fault == "torn":  # the connection ends in the middle of the body
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        if drip := self.server.chat.drip:
            for start in range(len(content)):
                self.wfile.write(content[start : start + 1])
                time.sleep(drip)
            return
        self.wfile.write(content)

    def _hang(self, chat: ChatServer) -> None:
        until = time.monotonic() + chat.hang
        while time.monotonic() < until and not chat._closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                break  # the client gave up
        self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
