"""``python -m iar.stress RUN_DIR``: where does a safeguard fail? A finished run's scores by what was asked."""

from __future__ import annotations

import argparse
from pathlib import Path

from iar import cli

DESCRIPTION = """\
Tabulate a run of iar.sweep by what was asked: SRA_s and SRA_u of each group with intervals, the difference to the
unsteered model, and to the same method whose vectors and gate saw everything; how often a gate fires (sweep with
method=gated,gate). Generates nothing, judges nothing. Writes stress-BY.csv, stress-BY-errors.csv and stress-BY.md.

examples:
  python -m iar.sweep recipe=transfer split=test run=runs/transfer
  python -m iar.stress runs/transfer --by harm                    kinds of harm that the gate has not seen
  python -m iar.stress runs/transfer --by mode --examples 2       ways of asking, and errors
  python -m iar.stress runs/perturbed --by category
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.stress", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder that iar.sweep wrote")
    parser.add_argument(
        "--by",
        choices=("all", "category", "harm", "mode", "type"),
        default="mode",
        help="all of it together, the categories of scores.csv, the kind of harm (pocket data), the mode (default), or "
        "the type of the prompt",
    )
    parser.add_argument("--examples", type=int, default=0, metavar="N", help="N errors of each group and configuration")
    args = parser.parse_args()
    with cli.reported():
        from iar.pipeline.results import stress

        found = stress.read(args.run, args.by)
        text = stress.markdown(found, args.examples)
        files = stress.write(args.run, args.by, text, found)
        print(text)
        print(*files, sep="\n")


if __name__ == "__main__":
    main()
