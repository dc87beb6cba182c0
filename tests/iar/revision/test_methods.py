"""Every row of the table is whole, and what is derived from it is what it says."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from iar.revision import Configuration
from iar.revision.configuration import Prompting
from iar.revision.methods import METHODS, Method, Positions, Scale, controls, controls_of, spoken, steering

ROOT = Path(__file__).parents[3]
ROWS = [pytest.param(row, id=name) for name, row in METHODS.items()]


def names(**asked: object) -> list[str]:
    return [row.name for row in METHODS.values() if all(getattr(row, key) == value for key, value in asked.items())]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_whole(row: Method) -> None:
    assert row.name.isidentifier() and row.name not in get_args(Prompting)
    assert row.spoken and len(row.spoken) < 28  # letters that a figure has room for
    assert row.scales and set(row.scales) <= set(get_args(Scale))
    assert row.positions and set(row.positions) <= set(get_args(Positions))
    assert set(row.controls) <= METHODS.keys() - set(controls())
    assert not (row.rule and (row.heads or row.categorical or row.draws)), "a rule gets the output of a whole block"
    assert not (row.heads and row.categorical), "a category has a vector a layer"
    assert not row.gated or set(row.positions) <= {"last", "generated"}, "a gate is read at the last prompt token"
    assert row.strength or not row.kl, "there is nothing to find"
    if row.rule:
        assert callable(import_module(row.rule).rule)
    if row.name != "none":
        found = Configuration(row.name, (3,), 1.0)
        assert Configuration.from_dict(found.to_dict()) == found and found.traits is row


@pytest.mark.parametrize("row", ROWS)
def test_every_method_is_described(row: Method) -> None:
    assert re.search(rf"`(method=)?{row.name}`", (ROOT / row.page).read_text(encoding="utf-8"))
    beyond = (ROOT / "docs/beyond-iar.md").read_text(encoding="utf-8")
    assert re.search(rf"\b{row.name}\b", beyond)


def test_what_is_derived() -> None:
    assert list(METHODS) == [
        *("none", "iar", "random", "gated", "calibrated", "categorical"),
        *("adaptive", "nullspace", "ablation", "addition"),
        *("gated_random", "calibrated_random", "calibrated_random_gate", "categorical_random", "random_gate", "gate"),
    ]
    assert controls() == (
        *("random", "gated_random", "calibrated_random", "calibrated_random_gate", "categorical_random"),
        *("random_gate", "gate"),
    )
    asked = {name: [row.name for row in controls_of(name)] for name in METHODS}
    assert {name: found for name, found in asked.items() if found} == {
        "iar": ["random"],
        "gated": ["gated_random", "random_gate", "gate"],
        "calibrated": ["calibrated_random", "calibrated_random_gate"],
        "categorical": ["categorical_random"],
        "addition": ["random"],
    }
    assert {name: METHODS[name].controls[0] for name in controls()} == {
        "random": "iar",
        "gated_random": "gated",
        "calibrated_random": "calibrated",
        "calibrated_random_gate": "calibrated",
        "categorical_random": "categorical",
        "random_gate": "gated",
        "gate": "gated",
    }
    assert names(gated=True) == ["gated", "calibrated", "categorical", *controls()[1:]]
    assert names(releases=True) == ["calibrated", "calibrated_random", "calibrated_random_gate"]
    assert names(reads_gates=True) == ["adaptive", "nullspace"]
    assert names(categorical=True) == ["categorical", "categorical_random"]
    assert names(routed=True) == ["calibrated_random_gate", "random_gate", "gate"]
    assert names(draws="directions") == ["random", "gated_random", "calibrated_random", "categorical_random"]
    assert names(draws="coin") == ["calibrated_random_gate", "random_gate"]
    assert names(heads=True) == [
        *("iar", "random", "gated", "calibrated"),
        *("gated_random", "calibrated_random", "calibrated_random_gate", "random_gate", "gate"),
    ]
    assert names(kl=False) == [
        *("none", "calibrated", "calibrated_random", "calibrated_random_gate", "gate"),
    ]
    assert names(strength="") == ["none", "gate"]
    assert names(positions=("all",)) == ["addition"]
    assert names(scales=("raw",)) == ["ablation"]
    assert names(scales=("raw", "unit")) == ["categorical", "adaptive", "categorical_random"]
    rules = ("adaptive", "nullspace", "ablation")
    assert {row.name: row.rule for row in METHODS.values() if row.rule} == {n: f"iar.revision.{n}" for n in rules}


def test_spoken_names() -> None:
    assert {name: row.spoken for name, row in METHODS.items() if row.spoken != name} == {
        "none": "unsteered",
        "iar": "IAR",
        "random": "random direction",
        "gated_random": "gate, random direction",
        "calibrated_random": "calibrated, random",
        "calibrated_random_gate": "calibrated, random gate",
        "categorical_random": "categorical, random",
        "random_gate": "random gate",
        "gate": "gate alone",
    }
    assert [spoken(part) for part in ("iar", "cot", "of_old_runs")] == ["IAR", "cot", "of old runs"]


def test_the_part_that_steers() -> None:
    assert [steering(name).name for name in ("none", "iar", "cot+fewshot+gated", "cot", "cot+prompt")] == [
        *("none", "iar", "gated", "none", "none"),
    ]
