"""Whole commands, in processes of their own: the main job, and the time until a command says something."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.speed.figure import Asked, Ratio, Result

ROOT = Path(__file__).resolve().parents[2]
SWEEP = ("layer=9,14,19,24", "strength=1.0,1.5,2.0,2.5")  # as in the Makefile
_IMPORT = (
    "import sys, time; start = time.perf_counter(); import benchmark; took = time.perf_counter() - start\n"
    "heavy = sorted({'torch', 'transformers', 'iar'} & set(sys.modules)); import json; print(json.dumps([took, heavy]))"
)


def pocket(asked: Asked) -> Result:
    """``make sweep`` where data and vectors are there already, into a fresh run folder each time."""
    with TemporaryDirectory(prefix="iar-speed-") as scratch:
        folder = Path(scratch)
        _, setup = _command(folder, *asked.size.set_up)
        asked.say(f"set-up (data and vectors): {setup:.1f} s, not counted")
        seconds, digests = [], []
        for repeat in range(asked.times(1)):
            run = folder / f"run-{repeat}"
            _, took = _command(folder, "iar.sweep", *SWEEP, *asked.size.limits, f"run={run}")
            seconds.append(took)
            digests.append(hashlib.sha256((run / "scores.csv").read_bytes()).hexdigest())
            asked.say(f"repeat {repeat + 1}: {took:.1f} s")
        rows = len((run / "scores.csv").read_text().splitlines()) - 1
    short = " (shortened: " + " ".join(asked.size.limits) + ")" if asked.size.limits else ""
    return Result(
        "pocket",
        {"sweep": seconds},
        [Ratio("wall time", tuple(seconds), None if short else 90, "≤", " s")],
        len(set(digests)) == 1 and rows > 0,
        f"scores.csv of {rows} rows{', the same bytes each time' if len(digests) > 1 else ''}: {digests[0][:12]}",
        notes=[f"python -m iar.sweep {' '.join(SWEEP)}{short}; set-up before it took {setup:.1f} s"],
    )


def startup(asked: Asked) -> Result:
    """Fresh processes; the files they read are in memory after the first, which is not counted."""
    helped, imported, heavy = [], [], []
    for repeat in range(asked.times(5) + 1):
        text, took = _command(ROOT, "iar.sweep", "--help")
        found, more = json.loads(_python(ROOT, "-c", _IMPORT)[0])
        if repeat:
            helped.append(took)
            imported.append(found)
            heavy += more
    asked.say(f"--help {helped[-1]:.2f} s, import {imported[-1]:.3f} s")
    shown = "strength" in text
    return Result(
        "startup",
        {"python -m iar.sweep --help": helped, "import benchmark": imported},
        [
            Ratio("python -m iar.sweep --help", tuple(helped), 1.5, "≤", " s"),
            Ratio("import benchmark", tuple(imported), 0.3, "≤", " s"),
        ],
        shown and not heavy,
        f"the help {'names' if shown else 'does NOT name'} the settings; import benchmark loads "
        + (", ".join(sorted(set(heavy))) if heavy else "neither torch nor transformers nor iar"),
    )


def _command(folder: Path, module: str, *arguments: str) -> tuple[str, float]:
    return _python(folder, "-m", module, *arguments)


def _python(folder: Path, *arguments: str) -> tuple[str, float]:
    """What a fresh Python prints in this folder, and its wall time."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, env=environment)
    took = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"python {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout, took
