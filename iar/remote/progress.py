"""The bar that is shown while requests are asked: how many, how long still, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.errors import LiveError
from rich.progress import TextColumn

from iar.terminal import log_file
from iar.terminal.console import bars, console


@contextmanager
def shown(label: str, total: int, done: int) -> Iterator[Callable[[int, str], None]]:
    """A bar of ``total`` requests; gives a function of how many more are done and what was spent until now.

    Where there are no bars, in a file or a pipe, one line says it at the end; so does the run's log.
    """
    progress = bars(TextColumn("{task.fields[spent]}"))
    task = progress.add_task(label, total=total, completed=done, spent="")

    def advance(more: int, spent: str) -> None:
        progress.update(task, advance=more, spent=spent)

    with suppress(LiveError):  # inside another bar, with a rich that cannot nest them
        progress.start()
    try:
        yield advance
    finally:
        progress.stop()
        spent = progress.tasks[0].fields["spent"]
        line = f"{label}: {progress.tasks[0].completed:,.0f} of {total:,} requests{f', {spent}' if spent else ''}"
        if progress.disable:
            console.print(line)
        else:
            log_file.say(line)
