"""``python -m iar.watch RUN_DIR``: how far a run is that another process works at, in a table that refreshes."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.inert import visible
from iar import cli

if TYPE_CHECKING:
    from rich.console import Group

    from iar.pipeline.results.progress import Progress

DESCRIPTION = """\
Shows how far a run is: each configuration's answers of how many, what is left, the rate and the time left; where there
are scores, the latest. Reads the run folder alone and writes nothing, so it may run on another machine that sees the
folder. It ends when the run ends; Ctrl-C ends it, and not the run.

examples:
  python -m iar.watch runs/sweep-3f1c9a02
  python -m iar.watch runs/sweep-3f1c9a02 --once      one look, on standard output, for scripts
  python -m iar.watch runs/sweep-3f1c9a02 --every 30  a look every half a minute
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.watch", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder that iar.sweep or iar.evaluate writes")
    parser.add_argument("--once", action="store_true", help="look once and end; without a rate, which takes two looks")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="from look to look (default 2)")
    args = parser.parse_args()
    with cli.reported():
        if not (math.isfinite(args.every) and args.every > 0):
            cli.fail(f"--every {args.every:g} must be a number of seconds above 0, such as 2")
        watch(args.run, args.every, args.once)


def watch(folder: Path, every: float = 2.0, once: bool = False) -> None:
    """Shows the run until no process works in its folder.

    Raises:
        UserError: There is no run, or a file of it is broken.
    """
    from rich.live import Live

    from iar.pipeline.results.progress import Looking
    from iar.terminal.console import WIDTH, Logged, console

    looking = Looking.at(folder)
    found = looking.look()
    if once:
        out = Logged(file=sys.stdout, width=WIDTH, color_system=None, markup=False, highlight=False)
        out.print(shown(found, folder))
        return
    with Live(shown(found, folder), console=console, auto_refresh=False) as live:
        while found.running:
            time.sleep(every)
            found = looking.look()
            live.update(shown(found, folder), refresh=console.is_terminal)


def shown(found: Progress, folder: Path) -> Group:
    """One look: a line, and a table with a row a configuration. The line comes first: a long table is cut off below."""
    from rich.console import Group
    from rich.table import Table

    table = Table()
    table.add_column("configuration", no_wrap=True)
    benchmarks = list(dict.fromkeys(name for questions in found.asked.values() for name in questions))
    for name in (*benchmarks, "left", "failed"):
        table.add_column(name, justify="right")
    scores = _scores(folder)
    titles = list(dict.fromkeys(title for row in scores.values() for title in row))
    for title in titles:
        table.add_column(title, justify="right")
    for name, questions in found.asked.items():
        done = found.done[name]
        left = sum(questions.values()) - sum(done.values())
        table.add_row(
            visible(name),
            *(f"{done[benchmark]:,}/{questions[benchmark]:,}" for benchmark in benchmarks),
            f"{left:,}",
            f"{found.failed[name]:,}",
            *(scores.get(name, {}).get(title, "") for title in titles),
        )
    return Group(f"{folder}: {_line(found)}", table)


def _line(found: Progress) -> str:
    from iar.terminal.console import duration

    said = f"{found.answers:,} of {found.total:,} answers"
    if found.total:
        said += f" ({100 * found.answers / found.total:.0f} %)"
    said += f", {found.verdicts:,} verdicts"
    if found.rate:
        said += f", {found.rate:.1f} a second" if found.rate >= 1 else f", {60 * found.rate:.1f} a minute"
    if found.running and found.seconds_left:
        said += f", {duration(found.seconds_left)} left"
    return said + ("" if found.running else "; no process works in the folder")


def _scores(folder: Path) -> dict[str, dict[str, str]]:
    """Configuration -> title -> percent, of the scores that the run has written; empty before."""
    if not (folder / "scores.csv").is_file():
        return {}
    from iar.pipeline.results.headlines import columns
    from iar.records import csv_file

    try:
        scores = csv_file.read(folder / "scores.csv", texts=("configuration", "benchmark", "category", "metric"))
        found: dict[str, dict[str, str]] = {}
        for column in columns(scores):
            benchmark, category, metric = column.place
            of = (scores["benchmark"] == benchmark) & (scores["category"] == category) & (scores["metric"] == metric)
            for name, value in scores[of].set_index("configuration")["value"].dropna().items():
                found.setdefault(str(name), {})[column.title] = f"{100 * float(value):.1f}"
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found


if __name__ == "__main__":
    main()
