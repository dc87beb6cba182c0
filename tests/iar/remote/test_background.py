from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from iar.remote.background import stream


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "requests"]


def test_everything_arrives_in_order_and_then_the_error() -> None:
    async def produce(put: Callable[[int], None]) -> None:
        for number in range(5):
            put(number)
            await asyncio.sleep(0)
        raise ValueError("after five")

    found = []
    with pytest.raises(ValueError, match="after five"):
        for number in stream(produce):
            found.append(number)

    assert found == [0, 1, 2, 3, 4] and not threads()


def test_it_works_on_while_the_reader_is_busy() -> None:
    done = threading.Event()

    async def produce(put: Callable[[int], None]) -> None:
        put(0)
        put(1)
        done.set()

    reading = stream(produce)
    assert next(reading) == 0 and done.wait(600)
    assert list(reading) == [1] and not threads()


def test_closing_cancels_and_waits_for_the_end() -> None:
    ended: list[str] = []

    async def produce(put: Callable[[int], None]) -> None:
        put(0)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    reading = stream(produce)
    assert next(reading) == 0
    reading.close()

    assert ended == ["cancelled"] and not threads()


def test_it_runs_beside_a_loop_that_runs_already() -> None:
    async def produce(put: Callable[[int], None]) -> None:
        put(7)

    async def notebook() -> list[int]:
        return list(stream(produce))

    assert asyncio.run(notebook()) == [7]
