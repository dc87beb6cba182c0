"""How fast the toolkit is. ``python -m benchmark.speed`` lists the figures; with names it measures them.

  python -m benchmark.speed pope18
  python -m benchmark.speed all --markdown --json speed.json
  python -m benchmark.speed vscbench64 --quick --repeats 2
  python -m benchmark.speed serve-load --seconds 300

A figure whose answers differ between the paths is printed as INVALID, and the exit code is 1. --quick runs the same
code on a smaller model, whose figures mean nothing. Other libraries are measured where they are installed:

  pip install --no-deps --target DIR steering-vectors==0.12.2 repeng==0.4.0 gguf==0.19.0 pyvene==0.1.8 lm-eval==0.4.13
  IAR_PEERS=DIR python -m benchmark.speed extract-peers sweep-peers
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmark.errors import DataError, did_you_mean
from benchmark.speed import registry, sizes
from benchmark.speed.cost import whole_number
from benchmark.speed.figure import Asked, Result


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        return _run(given) if given.names else _list()
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmark.speed", description=__doc__, formatter_class=raw)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="figures, or all (but gpu and serve-load); none: list them"
    )
    parser.add_argument("--quick", action="store_true", help="a smaller model: to see it run")
    parser.add_argument("--repeats", type=whole_number, metavar="N", help="instead of each figure's own number")
    parser.add_argument("--seconds", type=whole_number, metavar="N", help="how long serve-load lasts (default 300)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write everything to this file")
    parser.add_argument("--markdown", action="store_true", help="print a table for docs/results.md instead of lines")
    return parser


def _list() -> int:
    for figure in registry.FIGURES.values():
        print(f"{figure.name:14} {figure.title} (about {figure.minutes:g} min)")
    return 0


def _run(given: argparse.Namespace) -> int:
    names: list[str] = []
    for name in given.names:
        if name != "all" and name not in registry.FIGURES:
            raise DataError(f"unknown figure {name!r}: {did_you_mean(name, [*registry.FIGURES, 'all'])}")
        names += [n for n in (registry.ALL if name == "all" else (name,)) if n not in names]
    size = sizes.QUICK if given.quick else sizes.FULL
    from benchmark.speed import report, timing  # torch comes with it

    machine = timing.machine()
    say(machine)
    results: list[Result] = []
    start = time.perf_counter()
    for index, name in enumerate(names):
        say(f"[{index + 1}/{len(names)}] {name}: {registry.FIGURES[name].title}{_left(names, index, start, given)}")
        results.append(registry.measure(name, Asked(size, given.repeats, lambda line: say(f"  {line}"), given.seconds)))
        if not given.markdown:
            print("\n".join(report.lines(results[-1])), end="\n\n", flush=True)
    say(f"{time.perf_counter() - start:.0f} s in all")
    if given.markdown:
        print(report.markdown(results, machine))
    if given.json:
        report.write(given.json, results, machine, {"size": size.name, "repeats": given.repeats})
    return int(any(result.exact is False for result in results))


def _left(names: Sequence[str], index: int, start: float, given: argparse.Namespace) -> str:
    """About how long it will take, from how long it took so far; nothing for a small model."""
    if given.quick:
        return ""
    minutes = [registry.FIGURES[name].minutes for name in names]
    passed = (time.perf_counter() - start) / 60
    slower = passed / sum(minutes[:index]) if index else 1.0
    return f"; about {sum(minutes[index:]) * slower:.0f} min left"


def say(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
