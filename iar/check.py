"""``python -m iar.check``: what is wrong with a sweep before it starts, all of it at once, and what it will take."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from iar import cli
from iar.cli.tasks import Command
from iar.pipeline.experiment.settings import Checking, read
from iar.terminal.console import console, duration

if TYPE_CHECKING:
    from benchmark.sample import Loaded

BYTES = 3000  # of an answer, its prompt and its verdict in a run folder, about


def run(jobs: list[Checking]) -> None:
    from iar.errors import UserError
    from iar.pipeline.evaluation import dry_run, preflight
    from iar.pipeline.experiment import data
    from iar.pipeline.experiment.plan import plan

    asked = plan(jobs)
    cfg = jobs[0]
    data.prepare(cfg.data)
    found = preflight.look(asked, deep=True)
    for name, loaded in found.samples.items():
        if lost := preflight.missing(loaded):
            console.print(f"{name}: {lost}, first {loaded.unasked[0].id}: {loaded.unasked[0].reason}")
    answers = sum(len(loaded.samples) for loaded in found.samples.values()) * len(asked.configurations)
    free = shutil.disk_usage(_there(Path(cfg.run or "runs"))).free
    if answers * BYTES > free:
        found.problems.append(
            f"{answers:,} answers take about {answers * BYTES / 1e9:.1f} GB, {free / 1e9:.1f} are free"
        )
    if found.problems:
        for number, problem in enumerate(found.problems, 1):
            print(f"{number}. {problem}")
        sys.exit(1)
    dry_run.show(asked)
    console.print(f"disk: about {max(answers * BYTES / 1e6, 1):,.0f} MB of {free / 1e9:,.0f} GB that are free")
    if cfg.model.kind == "local":
        console.print(_memory(cfg))
        if cfg.measure:
            try:
                console.print(_hours(cfg, found.samples, len(asked.configurations)))
            except UserError as error:
                print(f"1. {error}")
                sys.exit(1)
    print("nothing is wrong: the same settings with iar.sweep start it")


def _memory(cfg: Checking) -> str:
    """The size of the weights beside the memory that is free."""
    from iar.pipeline.evaluation import preflight

    folder = preflight.folder(cfg.model)
    if folder is None:
        return f"memory: the weights of {cfg.model.path} are not in a folder here, so their size is not known"
    files = [file for kind in ("*.safetensors", "*.bin") for file in folder.glob(kind)]
    size = sum(file.stat().st_size for file in files) / 1e9
    free = _free_memory()
    beside = "" if free is None else f", {free:.1f} GB of memory are free"
    keys = f"; up to {cfg.generation.max_kv_gib:g} GiB more for what configurations share (generation.max_kv_gib)"
    return f"memory: the weights are {size:.2f} GB on disk, computed in {cfg.model.dtype}{beside}{keys}"


def _free_memory() -> float | None:
    """GB of this machine; None where the system does not say it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        return None


def _hours(cfg: Checking, samples: Mapping[str, Loaded], configurations: int) -> str:
    """How long the answers take if each took as long as the unsteered model's do."""
    from dataclasses import replace

    import benchmark
    from iar.pipeline.evaluation import prompts
    from iar.pipeline.evaluation.engines import answering
    from iar.pipeline.experiment.plan import plan
    from iar.revision.configuration import Configuration

    none = Configuration()
    engine = answering(plan([cfg.replace(method="none")]), [none])
    total, count = 0.0, 0
    for name, loaded in samples.items():
        protocol = benchmark.protocol(name)
        most, some = prompts.length(cfg, protocol, none), max(1, cfg.measure // len(samples))
        asked = loaded.samples[:: max(1, len(loaded.samples) // some)][:some]
        list(engine.run([replace(asked[0], id="warm")], [none], most))  # the first is slower, and the check is in it
        start = time.perf_counter()
        answers = list(engine.run(asked, [none], most))
        total += (time.perf_counter() - start) / len(answers) * len(loaded.samples)
        count += len(answers)
    said = f"time: {count} answers measured; one configuration takes about {duration(total)}"
    return f"{said}, all {configurations} at most {duration(total * configurations)}: what they share is computed once"


def _there(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def main() -> None:
    cli.main("check", Command(run, partial(read, Checking)))


if __name__ == "__main__":
    main()
