"""Which of the gate prompts the model refuses by itself: its greedy answers, as the offline judge calls them.

Oversafety can only be repaired where there is some: with ``release_if=refused`` the vector is taken off where a second
probe, of what is read here, says that the model is about to refuse (`iar.revision.gate`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.sample import Sample
from iar.generation import Engine
from iar.judges import rules
from iar.models.checkpoint import LoadedModel
from iar.pairs import Example
from iar.pipeline.experiment.settings import Settings
from iar.prompting import Conversation, plain
from iar.prompting.attack import attacked
from iar.revision import Configuration
from iar.terminal.console import bars, console
from iar.vectors.gate_fit import FOLDS

TOKENS = 24  # enough to see a refusal


def read(cfg: Settings, loaded: LoadedModel, asked: Sequence[Example]) -> Tensor | None:
    """(prompts,) bool; None, and a line that says so, where too few are refused, or too few answered, to learn from.

    An answer that the judge cannot place, or that could not be given, is none of a refusal.
    """
    samples = [
        Sample(
            str(number), "gate_prompts", "", one.prompt, (one.image,) if one.image else (), "", str(number), one.prompt
        )
        for number, one in enumerate(asked)
    ]

    def compose(sample: Sample, configuration: Configuration) -> Conversation:
        return attacked(plain(sample, configuration), asked[int(sample.id)].attack)

    engine = Engine(loaded, {}, cfg.batch_size, compose=compose, **cfg.generation.to_dict())
    refused = torch.zeros(len(samples), dtype=torch.bool)
    with bars() as progress:
        task = progress.add_task("gates: the model's own answers", total=len(samples))
        for made in engine.run(samples, [Configuration()], TOKENS):
            label = rules.judge(made.sample.query, made.answer).label if made.error is None else None
            refused[int(made.sample.id)] = label == "refusal"
            progress.advance(task)
    count = int(refused.sum())
    if min(count, len(samples) - count) < 2 * FOLDS:
        console.print(
            f"of its {len(samples)} gate prompts the model refuses {count} by itself: too few of one kind to "
            "learn from, so release_if=refused cannot be used"
        )
        return None
    return refused
