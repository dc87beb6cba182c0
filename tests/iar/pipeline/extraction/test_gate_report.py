"""What gates know elsewhere: on gates and activations made for it, and on the tiny model by command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.metrics import roc_auc_score

from iar import vectors
from iar.models import LoadedModel
from iar.pairs import Example
from iar.pipeline.extraction import gate_prompts, gate_report
from iar.pipeline.extraction.gate_prompts import GatePrompts
from iar.vectors.gates import Gates
from tests.iar.revision import conftest as of_revision

random_gates = of_revision.random_gates
CONTRASTS = gate_prompts.contrasts()
UNSAFE = torch.tensor([not example.safe for example in CONTRASTS])


def lists() -> GatePrompts:
    """Two lists that their first words tell apart."""
    unsafe = [Example(f"a/{i}", False, f"Tell me about {i}", None, None) for i in range(20)]
    return GatePrompts(unsafe, [Example(f"b/{i}", True, f"Please write {i}", None, None) for i in range(20)])


def known(gates: Gates, scores: torch.Tensor, auroc: float) -> Gates:
    return replace(gates, scores=scores, auroc=torch.tensor([0.5, auroc, 0.5, 0.5, 0.5, 0.5]))


def test_gates_that_were_not_fitted_on_contrasts_read_them(
    random_gates: Callable[..., Gates], capsys: pytest.CaptureFixture[str]
) -> None:
    gates = known(random_gates(), torch.rand(6, 40), 0.995)
    values = torch.randn(6, len(CONTRASTS), 32, generator=torch.Generator().manual_seed(3))
    values[4] += 0.3 * UNSAFE[:, None] * gates.weight[4]
    report = gate_report.measure(gates, lists(), values)
    assert report.words == 1 and not report.by_verb and report.contrast is not None
    for layer in range(6):
        p = torch.sigmoid(values[layer] @ gates.weight[layer] + gates.bias[layer])
        assert report.contrast[layer] == pytest.approx(roc_auc_score(UNSAFE, p), abs=1e-3)
    assert int(report.contrast.argmax()) == 4 and 0.35 < report.contrast_words < 0.65
    gate_report.say(report, gates)
    shown = " ".join(capsys.readouterr().err.split())
    assert f"contrasts that they were not fitted on: AUROC {float(report.contrast[1]):.3f} at layer 1, at best" in shown
    assert "(layer 4)" in shown
    assert "warning: a bag of words on the gate prompts has held-out AUROC 1.000, the activations 0.995" in shown
    assert "in gate_prompts=contrasts both sides have the same words" in shown
    assert gate_report.measure(gates, lists()).contrast is None


def test_gates_that_were_fitted_on_contrasts_are_measured_where_they_were_left_out(
    random_gates: Callable[..., Gates], capsys: pytest.CaptureFixture[str]
) -> None:
    more = lists()
    unsafe = [example for example in CONTRASTS if not example.safe]
    prompts = GatePrompts([*more.unsafe, *unsafe], [*[e for e in CONTRASTS if e.safe], *more.benign], ("turns",))
    at = [i for i, example in enumerate(prompts.asked) if example.attack == "" and "contrasts" in example.pair]
    scores = torch.rand(6, len(prompts.asked), generator=torch.Generator().manual_seed(4))
    scores[3, at[:302]] += 0.4
    gates = known(random_gates(), scores, 0.9)
    report = gate_report.measure(gates, prompts)
    assert report.by_verb and report.contrast is not None
    expected = [roc_auc_score(torch.arange(604) < 302, scores[layer, at]) for layer in range(6)]
    assert report.contrast.tolist() == pytest.approx(expected, abs=1e-6) and expected[3] > 0.75
    gate_report.say(report, gates)
    shown = " ".join(capsys.readouterr().err.split())
    assert "contrasts of verbs left out: AUROC" in shown and "warning" not in shown
    header = report.header
    assert header["gate_contrast"] == "fitted on other verbs"
    assert [float(x) for x in header["gate_contrast_auroc"].split()] == pytest.approx(expected, abs=1e-4)
    assert vectors.gates_digest(replace(gates, header=header)) == vectors.gates_digest(replace(gates, header={}))


def test_by_command(small: list[str], command: Callable[..., Any], tmp_path: Path, tiny: LoadedModel) -> None:
    """Gates of contrasts alone: what is held out are verbs, so the report is that of the scores in the file."""
    settings = [a for a in small if not a.startswith(("vectors=", "limit="))] + ["level=layer", "gates=true"]
    files = [f"gate_prompts.{side}=[contrasts]" for side in ("unsafe", "benign")]
    done = command("extract", *settings, *files, "gate_prompts.limit=40")
    assert done.code == 0, done.err
    shown = " ".join(done.err.split())
    assert "40 unsafe and 40 benign prompts" in shown and "contrasts of verbs left out: AUROC" in shown
    found = vectors.read(tmp_path / done.out.split()[0], tiny).gates
    assert found is not None and found.header["gate_contrast"] == "fitted on other verbs"
    expected = [roc_auc_score(torch.arange(80) < 40, scores) for scores in found.scores]
    assert [float(x) for x in found.header["gate_contrast_auroc"].split()] == pytest.approx(expected, abs=1e-4)


def test_what_is_known_of_refusals_is_told(random_gates: Callable[..., Gates]) -> None:
    refused = torch.tensor([True, False, True, False])
    scores = torch.tensor([[0.9, 0.1, 0.2, 0.3]] * 5 + [[0.9, 0.1, 0.8, 0.3]])
    found = gate_report.refusals(replace(random_gates(), refusal_scores=scores), refused)
    assert found == (
        "of its 4 gate prompts the model refuses 2 by itself: held-out AUROC 0.750 at layer 0, at best 1.000 (layer 5)"
    )
