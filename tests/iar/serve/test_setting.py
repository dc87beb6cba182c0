"""The field ``iar``: what `iar.revise` takes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from iar.models import LoadedModel
from iar.revision.configuration import Configuration
from iar.serve.refused import Refused
from iar.serve.setting import Revisions, read, shown
from iar.vectors.vector_set import VectorSet


@pytest.mark.parametrize(
    "found",
    [
        Configuration(),
        Configuration("iar", (14,), 1.5),
        Configuration("iar", (9, 14), -2.0, "sigma", "all"),
        Configuration("iar", (), 15.0, "sigma", heads=48),
        Configuration("random", (3,), 1.0, seed=4),
        Configuration("gated", (14,), 1.0, gate_layer=9, threshold=0.7, gate="soft"),
        Configuration("calibrated", (14,), 1.0, release=0.25, release_threshold=0.1),
        Configuration("calibrated", (14,), 1.0, release_if="refused"),
        Configuration("addition", (14,), 0.0),
    ],
)
def test_what_is_told_can_be_asked_again(found: Configuration) -> None:
    assert read(shown(found), "iar") == found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "iar must be an object"),
        ({"strenght": 1}, "unknown field 'strenght': did you mean 'strength'?"),
        ({"strength": 1}, 'iar names no place: add "layer": 14'),
        ({"layer": 1, "layers": [2]}, "layer and layers"),
        ({"layer": "14"}, "iar.layer must be a block number"),
        ({"layer": True}, "iar.layer must be a block number"),
        ({"layers": []}, "iar.layers must be a block number"),
        ({"layer": 1, "strength": "2"}, "iar.strength must be a number"),
        ({"layer": 1, "strength": float("nan")}, "strength=nan is not finite"),
        ({"layer": 1, "strength": 10**400}, "iar.strength must be a number"),
        ({"layer": 1, "seed": 1.5}, "iar.seed must be a whole number"),
        ({"layer": 1, "positions": 3}, "iar.positions must be a string"),
        ({"layer": 1, "positions": "first"}, "unknown positions 'first'"),
        ({"layer": 1, "method": "gate"}, "routes whole prompts"),
        ({"layer": 1, "method": "prompt+iar"}, "say it in messages"),
        ({"layer": 1, "method": "gated", "threshold": 2}, "must be a probability"),
        ({"layer": 1, "method": "gated", "positions": "all"}, "positions=last or generated"),
        ({"heads": -1}, "heads=-1 is negative"),
    ],
)
def test_what_is_refused(value: Any, said: str) -> None:
    with pytest.raises(Refused) as raised:
        read(value, "iar")
    assert said in raised.value.message and raised.value.param == "iar"


def test_what_the_vectors_lack(tiny: LoadedModel, tiny_vectors: VectorSet) -> None:
    known = Revisions(
        tiny, VectorSet(*(getattr(tiny_vectors, n) for n in ("vectors", "mean_norm", "sigma")), *[None] * 2)
    )
    for value, said in (
        ({"layer": 6}, "layer 6 is outside the model"),
        ({"layer": -1}, "layer -1 is outside the model"),
        ({"heads": 4}, "needs vectors of heads"),
        ({"layer": 3, "method": "gated"}, "needs gates"),
        ({"layer": 3, "method": "adaptive"}, "needs gates"),
    ):
        with pytest.raises(Refused, match=said):
            known.checked(read(value, "iar"), "iar")
    assert known.checked(read({"layer": 3}, "iar"), "iar").blocks == (3,)
