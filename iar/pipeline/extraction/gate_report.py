"""What gates know of prompts that they were not fitted on, beside what the words of these prompts tell by themselves.

Held-out folds are of the same two lists as the rest: where the lists differ in style, a gate knows the style. So it is
also asked the shipped contrasts, in which both sides have one verb and one style: held out by verb where it was fitted
on them, as they are where it was not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from iar.pipeline.extraction import gate_prompts
from iar.pipeline.extraction.gate_prompts import GatePrompts
from iar.terminal.console import console
from iar.vectors import Gates, bag_of_words, gate_fit

MARGIN = 0.01  # a bag of words this close to the activations does as well as they


@dataclass(frozen=True)
class Report:
    """AUROCs of unsafe against benign.

    Attributes:
        words: Of a bag of words, on the prompts and folds of the gates.
        contrast: (layers,) of the gates on the contrasts; None where they were not asked.
        contrast_words: Of the bag of words there.
        by_verb: Whether the gates were fitted on contrasts of other verbs; else on none.
    """

    words: float
    contrast: Tensor | None = None
    contrast_words: float = 0.0
    by_verb: bool = False

    @property
    def header(self) -> dict[str, str]:
        """As part of the gates' header; it says nothing of what they do, so it is not part of their digest."""
        found = {"gate_words_auroc": f"{self.words:.4f}"}
        if self.contrast is not None:
            found["gate_contrast"] = "fitted on other verbs" if self.by_verb else "not fitted on"
            found["gate_contrast_auroc"] = " ".join(f"{value:.4f}" for value in self.contrast.tolist())
            found["gate_contrast_words_auroc"] = f"{self.contrast_words:.4f}"
        return found


def measure(gates: Gates, prompts: GatePrompts, values: Tensor | None = None) -> Report:
    """What the gates of one file know, and a bag of words on the same prompts; the same for all files of a pair set.

    Args:
        values: (layers, contrasts, hidden) activations of `gate_prompts.contrasts` at the last prompt token, for gates
            that were fitted on none of them.
    """
    asked = prompts.asked
    texts, unsafe = [example.prompt for example in asked], torch.tensor([not example.safe for example in asked])
    known = bag_of_words.held_out(texts, unsafe, gate_fit.assign(prompts.groups, unsafe))
    words = _auroc(unsafe, known)
    rows = torch.tensor([gate_prompts.is_contrast(example) and not example.attack for example in asked])
    if rows.any() and 0 < int(unsafe[rows].sum()) < int(rows.sum()):
        found = torch.stack([torch.tensor(_auroc(unsafe[rows], scores)) for scores in gates.scores[:, rows]])
        return Report(words, found, _auroc(unsafe[rows], known[rows]), by_verb=True)
    if values is None:
        return Report(words)
    contrasts = gate_prompts.contrasts()
    which = torch.tensor([not example.safe for example in contrasts])
    scores = torch.einsum("lnh,lh->ln", values, gates.weight) + gates.bias[:, None]
    found = torch.stack([torch.tensor(_auroc(which, of_layer)) for of_layer in scores])
    there = bag_of_words.elsewhere(texts, unsafe, [example.prompt for example in contrasts])
    return Report(words, found, _auroc(which, there))


def refusals(gates: Gates, refused: Tensor) -> str:
    """One line: how well the second probe knows, held out, what the model refuses by itself."""
    found = torch.tensor([_auroc(refused, scores) for scores in gates.refusal_scores])
    best, top = int(gates.auroc.argmax()), int(found.argmax())
    return (
        f"of its {len(refused)} gate prompts the model refuses {int(refused.sum())} by itself: held-out AUROC "
        f"{float(found[best]):.3f} at layer {best}, at best {float(found[top]):.3f} (layer {top})"
    )


def say(report: Report, gates: Gates) -> None:
    """One line about the contrasts, and a warning where the words tell as much as the activations."""
    best = int(gates.auroc.argmax())
    if report.contrast is not None:
        how = "of verbs left out" if report.by_verb else "that they were not fitted on"
        top = int(report.contrast.argmax())
        console.print(
            f"contrasts {how}: AUROC {float(report.contrast[best]):.3f} at layer {best}, at best "
            f"{float(report.contrast[top]):.3f} (layer {top}); a bag of words {report.contrast_words:.3f}"
        )
    if report.words >= float(gates.auroc[best]) - MARGIN:
        console.print(
            f"warning: a bag of words on the gate prompts has held-out AUROC {report.words:.3f}, the activations "
            f"{float(gates.auroc[best]):.3f}: the gates may know the words of the two lists and no more"
            + ("" if report.by_verb else "; in gate_prompts=contrasts both sides have the same words (docs/pairs.md)")
        )


def _auroc(unsafe: Tensor, scores: Tensor) -> float:
    return float(roc_auc_score(unsafe.numpy(), scores.numpy()))
