"""Where everything that is not a result goes: progress, tables, warnings, on standard error.

In a file or a pipe there are no bars and no colours, but a line a minute, and what is printed is also in the run's log
(`iar.terminal.log_file`).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, NewLine, RenderableType
from rich.control import Control
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from benchmark.inert import visible
from iar.terminal import log_file

EVERY = 60.0  # seconds from one line to the next where there are no bars
AT_ONCE = 1.0  # seconds in which the answers of one batch come
WIDTH = 140  # of a file or a pipe, which have none: tables must not be squeezed into 80


class Logged(Console):
    """A console whose messages and tables also go to the run's log; bars do not.

    What it shows is inert (`benchmark.inert.visible`): escape sequences are the console's own or none.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for part in super().render(renderable, options):
            yield part if part.control else Segment(visible(part.text), part.style)

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*objects, **options)
        if log_file.active() and not any(isinstance(shown, (Control, NewLine)) for shown in objects):
            plain = Console(width=WIDTH, markup=False, highlight=False, color_system=None, force_terminal=False)
            with plain.capture() as captured:
                plain.print(*objects, **options)
            log_file.say(captured.get())


# Paths and answers may hold [brackets]; in a notebook too it is standard error, not a cell's result.
console = Logged(
    stderr=True, markup=False, highlight=False, force_jupyter=False, width=None if sys.stderr.isatty() else WIDTH
)


class Lines(Progress):
    """Where nobody watches bars: a line a minute that says how far the work in hand is, and how long it will take."""

    def __init__(self, *columns: ProgressColumn, **options: Any) -> None:
        super().__init__(*columns, **options)
        self._ended = threading.Event()
        self._since: dict[TaskID, tuple[float, float]] = {}  # when a task came to hand, and what was done by then
        self._first: dict[TaskID, tuple[float, float]] = {}  # when its first answers came, and how many they were
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        super().start()
        if self._thread is None:
            self._ended.clear()
            self._thread = threading.Thread(target=self._lines, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        super().stop()
        self._ended.set()
        self._thread = None

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._in_hand()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._in_hand()

    def _in_hand(self) -> Task | None:
        """The first task that is not done; when it came to hand is kept."""
        task = next((task for task in self.tasks if not task.finished), None)
        if task is not None:
            now = time.monotonic()
            _, before = self._since.setdefault(task.id, (now, task.completed))
            came, _ = self._first.get(task.id, (now, 0))
            if task.completed > before and now - came < AT_ONCE:
                self._first[task.id] = (came, task.completed)
        return task

    def _lines(self) -> None:
        ended = self._ended
        self._in_hand()
        while not ended.wait(EVERY):
            if (task := self._in_hand()) is not None:
                self.console.print(self.line(task))

    def line(self, task: Task) -> str:
        """Done, all, rate and time left of a task, e.g. ``pope: 1,234 of 9,000 (14 %), 3.2 a second, 40 min left``.

        The pace is that since the first answers: what is loaded and checked before them is not done again.
        """
        begun, before = self._since.get(task.id, (time.monotonic(), task.completed))
        came, first = self._first.get(task.id, (begun, task.completed))
        if steady := task.completed > first:
            begun, before = came, first
        rate = (task.completed - before) / max(time.monotonic() - begun, 1e-9)
        said = f"{task.description}: {task.completed:,.0f}"
        if task.total:
            said += f" of {task.total:,.0f} ({100 * task.completed / task.total:.0f} %)"
        if rate <= 0:
            return f"{said}, none in the last {duration(time.monotonic() - begun)}"
        pace = f"{rate:.1f} a second" if rate >= 1 else f"{60 * rate:.1f} a minute"
        left = f", {duration((task.total - task.completed) / rate)} left" if task.total and steady else ""
        return f"{said}, {pace}{left}"


def duration(seconds: float) -> str:
    """A time in the unit that it is told in.

    >>> duration(40), duration(600), duration(7500), duration(200000)
    ('40 s', '10 min', '2 h 5 min', '56 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 1440 else f"{minutes / 60:.0f} h"


def bars(*columns: ProgressColumn, **options: Any) -> Progress:
    """Bars with how many of how many, the time passed and the time left; where nobody watches them, a line a minute.

    Args:
        columns: Shown behind these.
        options: Of `rich.progress.Progress`.
    """
    shown = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        *columns,
    )
    if console.is_terminal:
        return Progress(*shown, console=console, **options)
    return Lines(*shown, console=console, **(options | {"disable": True}))
