"""The bar that is shown while requests are asked: how many, how long still, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.errors import LiveError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from iar.console import console


@contextmanager
def shown(label: str, total: int, done: int) -> Iterator[Callable[[int, str], None]]:
    """A bar of ``total`` requests; gives a function of how many more are done and what was spent until now."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[spent]}"),
        console=console,
    )
    task = progress.add_task(label, total=total, completed=done, spent="")
    try:
        progress.start()
    except LiveError:  # inside another bar, with a rich that cannot nest them
        yield lambda more, spent: None
        return
    try:
        yield lambda more, spent: progress.update(task, advance=more, spent=spent)
    finally:
        progress.stop()
