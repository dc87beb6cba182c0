"""Writes the pocket data sets in the authors' own layouts: ``python -m benchmark.pocket --out DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmark.errors import DataError
from benchmark.pocket import layouts

_EXAMPLES = """examples:
  python -m benchmark.pocket --out data/pocket                       as iar.sweep writes it on first use
  python -m benchmark.pocket --out data/pocket-1 --seed 1            other scenes and combinations
  python -m benchmark.pocket --out data/few --pairs 40               fewer contrastive pairs

then: python -m iar.sweep data.root=data/pocket-1 data.seed=1
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.pocket",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write train/, validation/ and test/ into")
    parser.add_argument("--seed", type=int, default=0, help="the same seed writes the same bytes (default 0)")
    parser.add_argument("--pairs", type=int, default=layouts.PAIRS, help=f"contrastive pairs ({layouts.PAIRS})")
    args = parser.parse_args()
    try:
        layouts.write(args.out, args.seed, args.pairs, on_step=lambda step: print(f"{args.out}/{step}"))
    except (DataError, OSError) as error:
        reason = str(error) if isinstance(error, DataError) else f"cannot write {args.out}: {error.strerror}"
        print(f"error: {reason} (--out)", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
