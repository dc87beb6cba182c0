"""The command line of ``python -m iar.models.pocket.train``."""

from __future__ import annotations

import argparse
from pathlib import Path

from iar.models.pocket import WEIGHTS

_EXAMPLES = """examples:
  python -m iar.models.pocket.train --out runs/pocket --seed 0                    as the shipped weights were made
  python -m iar.models.pocket.train --out runs/pocket-1 --seed 1 --workers 4      another seed, four processes
  python -m iar.models.pocket.train --out runs/look --steps 20 5 5 5 --vision-steps 20 --text-steps 20 --eager

The same command again goes on from the last checkpoint.
Then: python -m iar.models.pocket.card --model runs/pocket/model
"""


def parser() -> argparse.ArgumentParser:
    """Its settings; the defaults are those of the shipped weights."""
    made = argparse.ArgumentParser(
        prog="python -m iar.models.pocket.train",
        description="Trains the pocket VLM from scratch, in one seeded run.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--out", type=Path, required=True, help="folder for checkpoints, the log and the model")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--steps", type=int, nargs=4, default=[1700, 350, 200, 420], help="at 4, 8, 16, 32 layers")
    made.add_argument("--batch", type=int, default=48, help="texts per worker and step")
    made.add_argument("--vision-steps", type=int, default=2200)
    made.add_argument("--text-steps", type=int, default=1100)
    made.add_argument("--vision-batch", type=int, default=96)
    made.add_argument("--lr", type=float, default=4e-3, help="Muon's learning rate at 4 layers")
    made.add_argument("--workers", type=int, default=0, help="processes; default one a core, one on a GPU")
    made.add_argument("--threads", type=int, default=1, help="threads a process; 0 = PyTorch's choice")
    made.add_argument("--save-every", type=int, default=200)
    made.add_argument("--eager", action="store_true", help="do not compile (slower; needs no C++ compiler)")
    made.add_argument("--tokenizer", type=Path, default=WEIGHTS, help="folder with tokenizer.json")
    return made
