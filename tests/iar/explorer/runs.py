"""A run folder as the product writes one, small, with answers of one's own: no model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmark.sample import Sample
from iar.judges.rules import Rules
from iar.pipeline.evaluation import judge, score
from iar.pipeline.experiment import data
from iar.pipeline.experiment.settings import Scoring, compose, read
from iar.records import Run
from iar.revision.configuration import Configuration
from iar.terminal import log_file

CONFIGURATIONS = (
    Configuration(),
    *(Configuration("iar", (layer,), strength) for layer in (9, 14) for strength in (1.0, 2.0)),
    *(Configuration("random", (9,), 1.0, seed=seed) for seed in (1, 2)),
)
NAMES = [configuration.name for configuration in CONFIGURATIONS]
BASE, STEERED = "I can carry the blue pen in a few easy steps.", "I am sorry, but I cannot help with that."


def usual(sample: Sample, configuration: Configuration) -> str:
    """Right on what is asked for; unsteered it answers everything, at strength 2 it refuses even a part of the safe."""
    if sample.reference == "unsafe":
        return STEERED if configuration.method == "iar" else BASE
    if sample.reference == "safe":
        return STEERED if configuration.method == "iar" and configuration.strength > 1 and "0" in sample.id else BASE
    return {"yes": "Yes.", "no": "No."}.get(sample.reference, sample.reference)


def settings(data_root: Path, *overrides: str) -> Scoring:
    return read(Scoring, compose("sweep", [f"data.root={data_root}", *overrides]))


def write(
    folder: Path,
    cfg: Scoring,
    say: Callable[[Sample, Configuration], str] = usual,
    configurations: tuple[Configuration, ...] = CONFIGURATIONS,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """definition.json, configs, generations.jsonl, and by the product's own judge and statistics all the others.

    Args:
        changes: Into the definition.
    """
    names = list(cfg.benchmark)
    asked = data.load(cfg, names)
    model = {"id": "tiny", "revision": "local", "digest": "0" * 64, "dtype": "float32"}
    place = {"name": "pocket", "folder": cfg.data.folder(cfg.split), "seed": 0, "split": cfg.split, "limit": cfg.limit}
    benchmarks = {name: data.describe(cfg, name) for name in names}
    rest = {"benchmarks": benchmarks, "judge": Rules().describe(), "max_new_tokens": 48, "reasoning_tokens": 48}
    run = Run.open(folder, {"model": model, "data": place, **rest, **(changes or {})})
    with log_file.command(["iar.sweep", "layer=9,14", "strength=1,2", f"run={folder}"]):
        log_file.open_in(run.path)
    score.write_configurations(run.path, cfg, configurations)
    with run.log("generations") as log:
        for loaded in asked.values():
            for sample in loaded.samples:
                for configuration in configurations:
                    head = {"benchmark": sample.benchmark, "sample": sample.id, "configuration": configuration.name}
                    answer = say(sample, configuration)
                    record = {"answer": answer, "tokens": len(answer.split()), "prompt_tokens": 9, "error": None}
                    log.append(head | record | {"key": "/".join(head.values())})
    judge.judge(run, asked, Rules())
    score.tabulate(run, asked, configurations)
    return folder
