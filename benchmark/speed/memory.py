"""Peak memory, in processes of their own: ``python -m benchmark.speed.memory`` is what those run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.speed.figure import Asked, Ratio, Result
from benchmark.speed.sizes import Size
from benchmark.speed.timing import ratios

ROOT = Path(__file__).resolve().parents[2]


def memory(asked: Asked) -> Result:
    """Extraction at few pairs, then at many; a sweep of 17 configurations, then of 65: a process for each two."""
    few, many = asked.size.memory
    peaks: dict[str, list[float]] = {}
    notes = ["extraction: short text pairs, layers and heads; sweeps: one image, one-word answers"]
    made, same = [], True
    for what, counts, target in (("extract", (few, many), 1.1), ("sweep", (17, 65), 1.5)):
        lanes = [f"{what} {count}" for count in counts]
        for _ in range(asked.times(1)):
            found = _child(asked.size, what, counts)
            for lane, peak in zip(lanes, found["peaks"], strict=True):
                peaks.setdefault(lane, []).append(peak)
            same = same and len(set(found["answers"])) == 1
        small, large = (peaks[lane] for lane in lanes)
        made.append(Ratio(f"peak of {lanes[1]} / {lanes[0]}", ratios(large, small), target, "≤"))
        line = f"{what}: with its model loaded {found['loaded']:.0f} MiB, "
        line += ", ".join(f"{lane} {peaks[lane][-1]:.0f} MiB" for lane in lanes)
        asked.say(line)
        notes.append(line)
    said = f"the 17 configurations' answers are {'the same' if same else 'NOT the same'} in both sweeps"
    return Result("memory", {}, made, same, said, notes=notes)


def _child(size: Size, what: str, counts: tuple[int, int]) -> dict[str, Any]:
    """What the process prints: peaks in MiB, and digests of the answers of the small sweep's configurations."""
    command = [sys.executable, "-m", "benchmark.speed.memory", json.dumps(asdict(size)), what, *map(str, counts)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{what} {counts}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_mebibytes() -> float:
    """Of this process. Not `getrusage`, where there is another way: a child inherits its parent's peak there."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _run(size: Size, what: str, counts: list[int]) -> dict[str, Any]:
    from benchmark.speed import asking, model
    from iar.records import key
    from iar.vectors.estimation import estimate

    loaded, _, folder = asking.asked_model(size)
    told: dict[str, Any] = {"loaded": peak_mebibytes(), "peaks": [], "answers": []}
    samples = model.samples(size, folder, 1, size.questions, (12, 24))
    small = model.configurations(size, "last")
    for count in counts:
        if what == "extract":
            estimate(loaded, model.examples(size, folder, count, 8, 4, images=False), batch_size=32)
            told["answers"].append("")
        else:
            wide = model.configurations(size, "last", [step / 4 for step in range(1, 17)])
            found = asking.answers(asking.engine(size, "auto"), samples, small if count == 17 else wide, 1)
            told["answers"].append(key(answers=[[s.id, c.name, found[s.id, c.name]] for s in samples for c in small]))
        told["peaks"].append(peak_mebibytes())
    return told


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    lists = {name: tuple(value) for name, value in settings.items() if isinstance(value, list)}
    print(json.dumps(_run(Size(**{**settings, **lists}), sys.argv[2], [int(count) for count in sys.argv[3:]])))
