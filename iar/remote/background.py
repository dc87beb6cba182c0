"""Runs a coroutine in a thread of its own and hands over what it brings, to code that is not asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
_STOP_SECONDS = 10.0


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def stream(produce: Callable[[Callable[[T], None]], Coroutine[Any, Any, None]]) -> Generator[T]:
    """What ``produce`` puts, in that order; an error of it is raised here, after all that came before it.

    Closing the iterator, an error or Ctrl-C in the code that reads it: the coroutine is cancelled, and has ended when
    this returns.

    Args:
        produce: Called with a function that puts one thing; returns the coroutine.
    """
    arrived: SimpleQueue[T | _End] = SimpleQueue()
    loop = asyncio.new_event_loop()
    task = loop.create_task(produce(arrived.put))

    def run() -> None:
        ended = _End(None)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # raised where the replies are read, whatever it is
            ended = _End(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            arrived.put(ended)

    thread = Thread(target=run, name="requests", daemon=True)
    thread.start()
    try:
        while not isinstance(item := arrived.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(task.cancel)
            thread.join(_STOP_SECONDS)
        if not thread.is_alive():
            loop.close()
