"""What a command would ask, before it asks anything: answers by benchmark, and what they cost at an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table

import benchmark
from benchmark.pocket import layouts
from iar.pipeline.evaluation import engines, pictures, prompts
from iar.pipeline.experiment import data
from iar.pipeline.experiment.plan import Plan
from iar.pipeline.experiment.settings import Scoring
from iar.terminal.console import console


def show(plan: Plan) -> None:
    """Prints it; writes nothing, loads no model on this machine and sends nothing.

    Of a model on this machine, whose answers are known by its weights, what was answered before is counted again.

    Raises:
        UserError: What the command itself would raise for its settings, data and demonstrations.
    """
    with _data(plan.cfg) as cfg:
        pictures.check(cfg, plan.benchmarks, local=True)
        asked = data.load(cfg, plan.benchmarks)
        compose, costs = prompts.composer(cfg, plan.configurations), {}
        if cfg.model.kind == "endpoint":
            engine = engines.answering(Plan(cfg, plan.configurations, plan.pairs))
            costs = engines.estimates(engine, cfg, asked, plan.configurations)
        title = f"dry run: {cfg.model.name}, {cfg.split} split, {len(plan.configurations)} configurations"
        table = Table(title=title, caption=", ".join(c.name for c in plan.configurations))
        for name in ("benchmark", "questions", "answers", "at most tokens", "judged"):
            table.add_column(name, justify="left" if name == "benchmark" else "right")
        total = [0] * 4
        for name, loaded in asked.items():
            protocol, count = benchmark.protocol(name), len(loaded.samples)
            lengths = [prompts.length(cfg, protocol, c) for c in plan.configurations]
            answers = count * len(lengths)
            row = [count, answers, count * sum(lengths), answers if protocol.judged else 0]
            total = [a + b for a, b in zip(total, row, strict=True)]
            table.add_row(protocol.id, *(f"{number:,}" for number in row))
        table.add_row("all", *(f"{number:,}" for number in total))
        console.print(table)
        prompts.report(compose, asked, plan.configurations)
        for name, cost in costs.items():
            console.print(f"{name}: {cost}")
        if len(costs) > 1:
            parts = list(costs.values())
            console.print(f"all: {sum(parts[1:], parts[0])}")
        if total[3] and cfg.judge.get("kind") not in (None, "rules"):
            console.print(
                f"judge {cfg.judge.get('name') or cfg.judge['kind']}: {total[3]:,} answers, not in these costs"
            )


@contextmanager
def _data(cfg: Scoring) -> Iterator[Scoring]:
    """The settings, with the pocket data in a folder that goes away where they were not written yet."""
    if cfg.data.name != "pocket" or layouts.complete(Path(cfg.data.root), cfg.data.seed or 0):
        yield cfg
        return
    with TemporaryDirectory() as folder:
        moved = cfg.data.moved(Path(folder) / "pocket")
        shown = moved.instructions if cfg.demonstrations == cfg.data.instructions else cfg.demonstrations
        data.prepare(moved)
        yield cfg.replace(data=moved, demonstrations=shown)
