"""The process around the application: its socket, how it begins and how it ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from iar.errors import UserError
from iar.serve.app import Service, create

GRACE = 30
"""Seconds that answers which are being computed have to end when the server is stopped."""


class Server(uvicorn.Server):
    """At the end what is being computed goes on, what waits is refused.

    Args:
        ready: Called as soon as it can be asked.
    """

    def __init__(self, service: Service, ready: Callable[[], None] = lambda: None) -> None:
        config = uvicorn.Config(
            create(service),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            lifespan="off",
            server_header=False,
        )
        super().__init__(config)
        self.service, self.ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.service.queue.stop()
        super().handle_exit(sig, frame)


def bind(host: str, port: int) -> socket.socket:
    """A socket that nobody can reach yet: whether the place is free is known before a model is loaded.

    Raises:
        UserError: It is not, or no such place.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot serve at {host}:{port}: {getattr(error, 'strerror', None) or error}") from error
    return found


def address(bound: socket.socket) -> str:
    """The base URL that clients are given."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


@contextmanager
def running(service: Service) -> Iterator[str]:
    """Serves in a thread of this process while it lasts; gives the base URL."""
    bound = bind("127.0.0.1", 0)
    server = Server(service)
    options: dict[str, Any] = {"sockets": [bound]}
    thread = threading.Thread(target=server.run, kwargs=options, daemon=True)
    service.queue.start()
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield address(bound)
    finally:
        service.queue.stop()
        server.should_exit = True
        thread.join(GRACE)
        service.queue.join(GRACE)
        bound.close()
