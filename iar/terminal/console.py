"""Where everything that is not a result goes: progress, tables, warnings, on standard error.

In a file or a pipe there are no bars and no colours, and what is printed is also in the run's log
(`iar.terminal.log_file`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, NewLine, RenderableType
from rich.control import Control
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from benchmark.inert import visible
from iar.terminal import log_file

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


# Paths and answers may hold [brackets].
console = Logged(stderr=True, markup=False, highlight=False, width=None if sys.stderr.isatty() else WIDTH)


def bars(*columns: ProgressColumn, **options: Any) -> Progress:
    """Bars with how many of how many, the time passed and the time left; nothing where nobody watches them.

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
    options["disable"] = options.get("disable", False) or not console.is_terminal
    return Progress(*shown, console=console, **options)
