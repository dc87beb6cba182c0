"""A request on its way: what the computing thread and the event loop tell each other about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from iar.revision.configuration import Configuration
from iar.revision.direction import Revision
from iar.serve.asked import Asked
from iar.serve.refused import Refused


@dataclass
class Choice:
    """One answer of a request.

    Attributes:
        ids: Tokens so far.
        sent: What of its text a stream has been told.
        gate: What its gate read and decided; None where it has none.
        text, tokens, finish: Of the whole answer.
        failed: Why there is none.
    """

    index: int
    configuration: Configuration
    revision: Revision
    key: str = ""
    ids: list[int] = field(default_factory=list)
    sent: str = ""
    gate: Mapping[str, Any] | None = None
    text: str = ""
    tokens: int = 0
    finish: str = ""
    failed: Refused | None = None

    @property
    def over(self) -> bool:
        return bool(self.finish) or self.failed is not None


@dataclass(frozen=True)
class Part:
    """The next part of the text of a choice that is streamed."""

    choice: Choice
    text: str


class Job:
    """One request, from its arrival to its last answer. The event loop waits; the computing thread tells it.

    Attributes:
        deadline: `time.monotonic` after which nobody waits for it.
        cancelled: Nobody waits for it any more: its answers end at their next token.
        max_tokens, prompt_tokens, opening, stop: Known when it is computed: tokens of an answer and of the prompt, the
            mark of a thought that the prompt has opened, the texts that end an answer.
    """

    def __init__(self, asked: Asked, choices: list[Choice], seconds: float) -> None:
        self.asked, self.choices = asked, choices
        self.deadline = time.monotonic() + seconds
        self.cancelled = False
        self.max_tokens = self.prompt_tokens = 0
        self.opening = ""
        self.stop: tuple[str, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Part | Choice | Refused] = asyncio.Queue()

    @property
    def over(self) -> bool:
        return all(choice.over for choice in self.choices)

    @property
    def unwanted(self) -> bool:
        return self.cancelled or time.monotonic() > self.deadline

    def tell(self, news: Part | Choice | Refused) -> None:
        """From the computing thread: a part of a text, a choice that is over, or why there will be no answer at all."""
        with suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(self._told.put_nowait, news)

    def refuse(self, error: Refused) -> None:
        """For all choices that are not over."""
        for choice in self.choices:
            if not choice.over:
                choice.failed = error
        self.tell(error)

    async def news(self) -> Part | Choice:
        """The next that is told.

        Raises:
            Refused: There will be no answer, or not in time.
        """
        try:
            found = await asyncio.wait_for(self._told.get(), max(0.0, self.deadline - time.monotonic()))
        except asyncio.TimeoutError:
            raise Refused("no answer in time: ask for less, or start the server with a longer --timeout", 504) from None
        if isinstance(found, Refused):
            raise found
        return found
