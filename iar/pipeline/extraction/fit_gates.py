"""Gates into vector files: the model reads the gate prompts once, whatever the number of files, and probes are fitted.

A prompt is read alone, as it is asked (and inside attacks, where ``gate_prompts`` names some): its last token, behind
the chat template's opening of the answer, is the one that ``positions=last`` steers first and at which a gate is read.
Category vectors take a pass over the pairs of these categories. The file's vectors and their digest stay as they are;
it is rewritten in one move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from iar.errors import UserError
from iar.models.checkpoint import LoadedModel
from iar.pairs import Example
from iar.pairs.selection import Selection
from iar.pipeline.experiment.settings import Settings
from iar.pipeline.extraction import gate_prompts, gate_report, own_refusals
from iar.pipeline.extraction.gate_prompts import GatePrompts
from iar.terminal.console import bars, console
from iar.vectors import Gates, VectorSet
from iar.vectors.activations import pooled
from iar.vectors.gate_estimation import Known, Read, estimate
from iar.vectors.mass_mean_shift import mass_mean_shift
from iar.vectors.statistics import Sums


def make(
    cfg: Settings, loaded: LoadedModel, vector_sets: Mapping[str, VectorSet], examples: Sequence[Example]
) -> dict[str, Gates]:
    """Gates for vectors of one pair set, by their names.

    Args:
        cfg: ``gate_prompts``, ``pairs``; with ``gates`` the model also reads the contrasts, for a report.
        examples: The pair set.

    Raises:
        UserError: The prompts cannot be read, are too few, or what `iar.vectors.activations` raises.
    """
    prompts = gate_prompts.read(cfg)
    read = _read(cfg, loaded, prompts)
    shifts = _category_vectors(cfg, loaded, examples, prompts, vector_sets)
    files = {name: Known(found.vectors, shifts[found.header["tokens"]]) for name, found in vector_sets.items()}
    try:
        with bars() as progress:
            task = progress.add_task("gates: layers", total=len(loaded.decoder))
            made = estimate(read, files, lambda done: progress.update(task, completed=done))
    except ValueError as error:
        raise UserError(f"too few prompts for gates ({error}): give more (gate_prompts.unsafe, .benign)") from error
    asked = cfg.gates and not any(map(gate_prompts.is_contrast, prompts.asked))
    contrasts = _activations(cfg, loaded, gate_prompts.contrasts(), "contrasts") if asked else None
    report = gate_report.measure(next(iter(made.values())), prompts, contrasts)
    header = {"gate_prompts_digest": prompts.digest, "gate_limit": str(cfg.gate_prompts.limit)} | report.header
    if selection := Selection.of(cfg.pairs.to_dict()):
        header["gate_selection"] = str(selection)
    if read.refused is not None:
        header["gate_refused"] = f"{int(read.refused.sum())} of {len(read.refused)}"
    if prompts.attacks:
        header["gate_attacks"] = ",".join(prompts.attacks)
    for name, gates in made.items():
        best = int(gates.auroc.argmax())
        console.print(
            f"gates of {name}: {len(prompts.unsafe)} unsafe and {len(prompts.benign)} benign prompts, held-out AUROC "
            f"{float(gates.auroc[best]):.3f} at layer {best}; categories: {', '.join(gates.categories) or 'none'}"
        )
    gate_report.say(report, next(iter(made.values())))
    if read.refused is not None:
        console.print(gate_report.refusals(next(iter(made.values())), read.refused))
    return {name: replace(gates, header=gates.header | header) for name, gates in made.items()}


def check(cfg: Settings, vector_sets: Mapping[str, VectorSet]) -> None:
    """Raises where gates were fitted on other prompts than ``gate_prompts`` holds now; nothing where it holds no file.

    Raises:
        UserError: They were, or the prompts cannot be read.
    """
    made = {name: found.gates for name, found in vector_sets.items() if found.gates is not None}
    if not made or not gate_prompts.present(cfg):
        return
    digest = gate_prompts.read(cfg).digest
    for name, gates in made.items():
        if gates.header.get("gate_prompts_digest") != digest:
            raise UserError(
                f"the gates of {name} in {cfg.vectors} were fitted on other prompts than gate_prompts holds: run "
                f"python -m iar.extract pairs={cfg.pairs.name} gates=true again, or use another folder (vectors=DIR)"
            )


def _read(cfg: Settings, loaded: LoadedModel, prompts: GatePrompts) -> Read:
    asked = prompts.asked
    unsafe = torch.tensor([not example.safe for example in asked])
    categories = [example.category for example in asked]
    values = _activations(cfg, loaded, asked, "prompts")
    answers = _activations(cfg, loaded, prompts.answered, "answers", "mean")
    refused = own_refusals.read(cfg, loaded, asked) if cfg.refusals else None
    return Read(values, unsafe, prompts.groups, categories, answers, refused)


def _activations(
    cfg: Settings, loaded: LoadedModel, examples: list[Example], what: str, policy: str = "last_prompt"
) -> Tensor:
    """(layers, examples, hidden) float32."""
    found = torch.zeros(len(loaded.decoder), len(examples), loaded.decoder.hidden_size)
    with bars() as progress:
        task = progress.add_task(f"gates: activations of {what}", total=len(examples))
        for batch in pooled(loaded, examples, [policy], batch_size=min(32, cfg.batch_size)):
            found[:, batch.index] = batch.layers[0]
            progress.advance(task, len(batch.index))
    return found


def _category_vectors(
    cfg: Settings,
    loaded: LoadedModel,
    examples: Sequence[Example],
    prompts: GatePrompts,
    vector_sets: Mapping[str, VectorSet],
) -> dict[str, dict[str, Tensor]]:
    """Token policy -> category -> (layers, hidden), the mass mean shift of the category's pairs.

    Categories are those that an unsafe prompt has, and both sides of the pairs.
    """
    sides = ({e.category for e in examples if e.safe is side} for side in (True, False))
    named = {e.category for e in prompts.unsafe if e.category}.intersection(*sides)
    chosen = [example for example in examples if example.category in named]
    policies = list(dict.fromkeys(vector_set.header["tokens"] for vector_set in vector_sets.values()))
    sums: dict[str, dict[str, Sums]] = {policy: {} for policy in policies}
    safe = torch.tensor([example.safe for example in chosen], dtype=torch.bool)
    with bars() as progress:
        task = progress.add_task(f"{cfg.pairs.name}: activations by category", total=len(chosen))
        for batch in pooled(loaded, chosen, policies, batch_size=min(32, cfg.batch_size)):
            for policy, layers in zip(policies, batch.layers, strict=True):
                for category in {chosen[i].category for i in batch.index}:
                    rows = [at for at, i in enumerate(batch.index) if chosen[i].category == category]
                    total = sums[policy].setdefault(category, Sums.zeros(*layers[:, 0].shape))
                    total.add(layers[:, rows], safe[[batch.index[at] for at in rows]])
            progress.advance(task, len(batch.index))
    return {policy: {name: mass_mean_shift(found) for name, found in of.items()} for policy, of in sums.items()}
