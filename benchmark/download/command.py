"""`python -m benchmark download NAME --to DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from benchmark.errors import DataError

if TYPE_CHECKING:
    from benchmark.download import getting
    from benchmark.download.sources import Source

_DESCRIPTION = """\
Fetches a benchmark's data from where its authors publish them, into the layout that the loaders read.

  python -m benchmark download xstest --to data/xstest
  python -m benchmark download pope/llava-8910 --to data/pope --single-files
  python -m benchmark download scienceqa --to data/scienceqa --dry-run
  python -m benchmark download scienceqa --to data/scienceqa --no-images

Sizes and licences are shown first, then it asks. An interrupted download goes on where it broke off; a file has its
name only when it is whole and what it should be. Digests that nobody published are written to DIR/digests.json at the
first download. Where authors offer only a manual link, it says where to click and where to unpack.

Exit code 0: all is there. 1: you said no, or a part has to be fetched by hand. 2: it failed."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `python -m benchmark`."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("download", help="fetch the data", description=_DESCRIPTION, formatter_class=raw)
    parser.add_argument("name", metavar="NAME", help="a benchmark, or a protocol for its release (pope/llava-8910)")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder for the data")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="show what would be fetched; write nothing")
    parser.add_argument(
        "--single-files",
        action="store_true",
        help="POPE: its 500 photographs one by one (about 80 MB) instead of COCO's archive (6.6 GB)",
    )
    parser.add_argument("--no-images", action="store_true", help="the questions alone, for models that read no images")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Show, ask, fetch.

    Raises:
        DataError: What `plan` and `get` raise; or nobody is there to be asked.
    """
    from benchmark.download import getting, sources  # requests only where something is fetched

    source = sources.source(given.name)
    try:
        steps = getting.plan(source, given.to, given.single_files, not given.no_images)
    except DataError:
        _by_hand(source, given.to)  # that much can be said offline too
        raise
    rows = []
    for step in steps:
        size = "there" if step.there else decimal(step.size) if step.exact else f"about {decimal(step.size)}"
        pin = "pinned" if step.item.pinned else "not pinned"
        rows.append((step.item.name, size, pin, step.item.licence, step.item.url))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    todo = [step for step in steps if not step.there]
    if todo and not given.dry_run:
        if not given.yes and not _agreed(sum(step.size for step in todo), given.to):
            return 1
        _fetch(lambda progress: getting.get(source, steps, given.to, progress))
    missing = not given.no_images and _by_hand(source, given.to)
    if given.dry_run:
        return 0
    if not missing:
        print(f"complete; check it: python -m benchmark validate {source.name} --data {given.to}")
    return 1 if missing else 0


def _by_hand(source: Source, folder: Path) -> bool:
    """Say what is left to the user; whether anything is."""
    missing = [name for name in source.there if not (folder / name).exists()]
    if missing:
        print(f"by hand ({', '.join(missing)} not in {folder} yet):")
        for line in source.by_hand:
            print(f"  {line.format(root=folder)}")
    return bool(missing)


def _agreed(size: int, folder: Path) -> bool:
    if not sys.stdin.isatty():
        raise DataError("not a terminal, so these terms and sizes cannot be confirmed: add --yes")
    print(f"Fetch {decimal(size)} into {folder} under these terms? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _fetch(get: Callable[[getting.Progress], None]) -> None:
    """With a bar, its speed and the time left on a terminal; a line a file elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        _Amount(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def progress(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
                if not console.is_terminal:
                    print(name, file=sys.stderr, flush=True)
            bars.update(tasks[name], completed=done, total=total)

        try:
            get(progress)
        except KeyboardInterrupt:
            print("stopped: the same command goes on from here", file=sys.stderr)
            raise


class _Amount(ProgressColumn):
    """Bytes of a download and its speed; files of an archive."""

    def render(self, task: Task) -> Text:
        done, total = int(task.completed), task.total
        if task.description.startswith("unpacking") or "*" in task.description:
            return Text(f"{done} of {total or '?'} files")
        speed = f" {decimal(int(task.speed))}/s" if task.speed else ""
        return Text(f"{decimal(done)} of {decimal(int(total)) if total else '?'}{speed}")
