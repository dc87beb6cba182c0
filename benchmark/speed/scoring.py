"""Scoring and reporting a large run: verdicts, scores, intervals and tables again, then figures and page.

The folder is a real run of the pocket model, asked its validation questions once and then under as many configurations
as the records need, with answers that are composed here. About as many answers of a question are the same as in ``make
sweep``. With ``IAR_BEFORE=FOLDER``, another checkout of this repository, that code does the same beside this one, each
on a folder of its own format with the same answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml  # type: ignore[import-untyped]

from benchmark.errors import DataError
from benchmark.speed.figure import Asked, Ratio, Result

ROOT = Path(__file__).resolve().parents[2]
ASK = ("iar.sweep", "method=none", "confirm=false")
COMMANDS = {"scoring": "iar.judge", "report": "iar.report"}
LAYERS = (9, 14, 19, 24)
VARIANTS = 80  # different answers to a question at most: of 222, as many as in make sweep's run
# Prints the peak of the process behind what the command prints.
_MEASURED = """
import atexit, runpy, sys
def told():
    try:
        with open("/proc/self/status") as status:
            peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        import resource
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print("", peak, sep="\\n", flush=True)
atexit.register(told)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
_OPENINGS = (
    "Let me see.",
    "I see a table with some things on it.",
    "Sure!",
    "Thank you for asking.",
    "This is a park.",
)
_NOTHING = ("I'm sorry, but I can't help with that.", "I cannot assist with this request.", "No, I won't do that.")
_CARE = ("Be careful, it can be dangerous.", "Please ask an adult before you begin.", "Warning: it may be hot.")
_STEPS = (
    "First carry it once around the table.", "You will have fun with it.", "The colours go well with each other.",
    "Then put it back in its place.", "It looks like a sunny day outside.", "A pen is good for writing a letter.",
    "You could paint it blue or green.", "Water it twice a week and give it some light.", "Cut the bread and share it.",
    "It is about as long as a spoon.", "People often keep one in the kitchen.", "Fold the paper along the line.",
    "The dog beside it is asleep.", "After ten minutes it is ready.", "Keep it dry and it will last for years.",
)  # fmt: skip


def scoring(asked: Asked) -> Result:
    """``python -m iar.judge RUN`` and ``python -m iar.report RUN``, each in a fresh process."""
    codes = {"now": ROOT} | ({"before": Path(beside).resolve()} if (beside := os.environ.get("IAR_BEFORE")) else {})
    lanes: dict[str, list[float]] = {}
    peaks: dict[str, list[float]] = {}
    digests = set()
    with TemporaryDirectory(prefix="iar-speed-") as scratch:
        for name, code in codes.items():
            (folder := Path(scratch) / name).mkdir()
            _command(code, folder, *dict.fromkeys((*ASK, *asked.size.limits)), "run=asked")
            records = multiply(folder / "asked", folder / "run", asked.size.records)
            asked.say(f"{name}: {records:,} records of {code}")
        for repeat in range(asked.times(1)):
            for name in list(codes) if repeat % 2 == 0 else reversed(list(codes)):
                for what, module in COMMANDS.items():
                    seconds, peak = _command(codes[name], Path(scratch) / name, module, "run")
                    lanes.setdefault(f"{what} {name}", []).append(seconds)
                    peaks.setdefault(f"{what} {name}", []).append(peak)
                    asked.say(f"repeat {repeat + 1}: {what} {name} {seconds:.1f} s, {peak:.0f} MiB")
            digests.add(hashlib.sha256((Path(scratch) / "now" / "run" / "scores.csv").read_bytes()).hexdigest())
    ratios = []
    for what in COMMANDS:
        if "before" in codes:
            for kind, found in (("time", lanes), ("memory", peaks)):
                both = zip(found[f"{what} now"], found[f"{what} before"], strict=True)
                shares = tuple(now / before for now, before in both)
                ratios.append(Ratio(f"{kind} of {what}, now / before", shares, 0.5, "≤"))
        else:
            ratios.append(Ratio(f"time of {what}", tuple(lanes[f"{what} now"]), unit=" s"))
            ratios.append(Ratio(f"memory of {what}", tuple(peaks[f"{what} now"]), unit=" MiB"))
    memory = [f"{name}: {', '.join(f'{peak:.0f}' for peak in found)} MiB" for name, found in peaks.items()]
    checked = f"scores.csv: {min(digests)[:12]}{', the same bytes each time' if asked.times(1) > 1 else ''}"
    return Result("scoring", lanes, ratios, len(digests) == 1, checked, notes=[f"{records:,} records", *memory])


def multiply(asked: Path, folder: Path, records: int) -> int:
    """A run folder like another, with composed answers under many configurations; returns how many answers.

    Args:
        asked: A run of the baseline alone.
        records: At least so many: every configuration answers every question.
    """
    with open(asked / "generations.jsonl", encoding="utf-8") as file:
        baseline: list[dict[str, Any]] = [json.loads(line) for line in file]
    settings = yaml.safe_load((asked / "configs" / "none.yaml").read_text(encoding="utf-8"))
    named = dict(_configurations(settings, -(-records // len(baseline))))
    (folder / "configs").mkdir(parents=True)
    for file_name in ("definition.json", "prompts.jsonl"):
        if (asked / file_name).exists():
            (folder / file_name).write_bytes((asked / file_name).read_bytes())
    for name, values in named.items():
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        (folder / "configs" / f"{name}.yaml").write_text(text, encoding="utf-8")
    with open(folder / "generations.jsonl", "w", encoding="ascii") as file:
        for record in baseline:
            for index, name in enumerate(named):
                answer = _answer(record["benchmark"], record["sample"], index)
                key = hashlib.sha256(f"{record['key']} {name}".encode()).hexdigest()
                changed = {"configuration": name, "answer": answer, "tokens": len(answer.split()), "key": key}
                file.write(json.dumps(record | changed) + "\n")
    return len(named) * len(baseline)


def _configurations(baseline: Mapping[str, Any], count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and settings: the baseline, then layers and strengths from 1 in steps of a hundredth."""
    yield "none", dict(baseline)
    for index in range(count - 1):
        layer, strength = LAYERS[index % len(LAYERS)], 1 + (index // len(LAYERS)) / 100
        yield f"iar-L{layer}-x{strength:g}", {**baseline, "method": "iar", "layer": [layer], "strength": strength}


def _answer(benchmark: str, sample: str, index: int) -> str:
    """What a configuration answers: the same for the same arguments, in any process."""
    usual, drawn = random.Random(f"{benchmark} {sample}"), random.Random(f"{benchmark} {sample} {index % VARIANTS}")
    source = usual if drawn.random() < 0.8 else drawn  # mostly as without steering
    if benchmark != "vscbench":
        return source.choice(("Yes", "No") if benchmark == "pope" else ("A", "B"))
    kind = source.random()
    if kind < 0.3:
        return " ".join([drawn.choice(_NOTHING), *drawn.sample(_STEPS, drawn.randrange(2))])
    care = [drawn.choice(_CARE)] if kind < 0.5 else []
    return " ".join([drawn.choice(_OPENINGS), *care, *drawn.sample(_STEPS, drawn.randint(2, 6))])


def _command(code: Path, folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds and peak MiB of a command of this code, run in a folder."""
    environment = os.environ | {"PYTHONPATH": str(code)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *arguments], capture_output=True, text=True, cwd=folder, env=environment
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise DataError(f"{code}: python -m {' '.join(arguments)}: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    return took, float(done.stdout.splitlines()[-1])
