from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iar.errors import UserError
from iar.revision import Configuration
from iar.revision.methods import controls


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"method": "gated", "layers": (14,), "strength": 2.5}, "gated-L14-x2.5"),
        ({"method": "gated", "layers": (14,), "gate_layer": 10, "threshold": 0.7}, "gated-L14-x0-g10-t0.7"),
        ({"method": "gated", "layers": (14,), "strength": 2, "gate": "soft", "kl": 0.05}, "gated-L14-x2-soft-kl0.05"),
        ({"method": "gated", "heads": 16, "strength": 2, "scale": "sigma"}, "gated-H16-x2-sigma"),
        ({"method": "calibrated", "layers": (14,), "strength": 1}, "calibrated-L14-x1-r0.5"),
        (
            {"method": "calibrated", "layers": (14,), "strength": 1, "gate_layer": 9, "threshold": 0.7,
             "release": 0.25, "release_threshold": 0.2, "gate": "soft"},
            "calibrated-L14-x1-g9-soft-t0.7-r0.25-rt0.2",
        ),
        ({"method": "iar", "layers": (3, 5, 6, 8, 9, 10), "strength": 2}, "iar-L3+5+6+8to10-x2"),
        ({"method": "gated_random", "layers": (14,), "strength": 2, "seed": 3}, "gated_random-L14-x2-s3"),
        ({"method": "categorical_random", "layers": (14,), "strength": 2, "seed": 3}, "categorical_random-L14-x2-s3"),
        ({"method": "random_gate", "layers": (14,), "strength": 2, "seed": 1}, "random_gate-L14-x2-s1"),
        ({"method": "gate", "layers": (14,), "threshold": 0.9}, "gate-L14-t0.9"),
        ({"method": "addition", "layers": (14,), "strength": 1}, "addition-L14-x1"),
        ({"method": "cot+gated", "layers": (14,), "strength": 1}, "cot+gated-L14-x1"),
        ({"method": "iar", "layers": (14,), "strength": 4, "kl": 0.1}, "iar-L14-x4-kl0.1"),
    ],
)  # fmt: skip
def test_names_tell_configurations_apart(settings: dict[str, Any], name: str) -> None:
    found = Configuration(**settings)
    assert found.name == name
    assert Configuration.from_dict(found.to_dict()) == found


def test_what_kind_a_method_is() -> None:
    def kind(method: str) -> tuple[bool, bool, bool]:
        found = Configuration(method, (14,), 1.0)
        return found.gated, found.conditional, found.control

    assert {m: kind(m) for m in ("iar", "ablation", "addition")} == dict.fromkeys(
        ("iar", "ablation", "addition"), (False, False, False)
    )
    assert kind("gated") == kind("calibrated") == kind("categorical") == (True, True, False)
    assert kind("adaptive") == kind("nullspace") == (False, True, False)
    assert {kind(name) for name in controls() if name != "random"} == {(True, True, True)}
    assert kind("random") == (False, False, True)
    assert Configuration("addition", (3,), 1.0).positions == "all"


def test_plain_methods_are_what_they_were_before_there_were_gates() -> None:
    plain = Configuration("iar", (14,), 1.5)
    assert not {"gate", "gate_layer", "threshold", "kl"} & set(plain.revision)
    gated = Configuration("gated", (14,), 1.5)
    assert gated.revision["threshold"] == 0.5
    assert replace(gated, threshold=0.6).revision != gated.revision
    assert replace(plain, kl=0.1).revision["kl"] == 0.1


def test_what_only_calibration_has_is_no_part_of_other_methods() -> None:
    for method in ("iar", "gated", "nullspace", "gate"):
        found = Configuration(method, (14,), 1.0, release=2.0, release_threshold=0.9, release_if="refused")
        assert found == Configuration(method, (14,), 1.0)
        assert not {"release", "release_threshold", "release_if"} & set(found.revision)
    assert "release" not in replace(Configuration("iar", (14,), 1.5), kl=0.1).revision
    calibrated = Configuration("calibrated", (14,), 1.0, release=2.0, release_threshold=0.1)
    assert (calibrated.revision["release"], calibrated.revision["release_threshold"]) == (2.0, 0.1)
    assert calibrated != replace(calibrated, release=1.0)
    assert "release_if" not in calibrated.revision  # as before there was one
    on_refusals = replace(calibrated, release_if="refused")
    assert on_refusals.revision == calibrated.revision | {"release_if": "refused"}
    assert on_refusals.name == f"{calibrated.name}-refused"
    with pytest.raises(UserError, match=r"unknown release_if 'refusal': did you mean 'refused'\?"):
        replace(calibrated, release_if="refusal")


def test_a_gate_reads_a_block_that_is_not_behind_what_it_decides() -> None:
    assert Configuration("gated", (9, 14), 1.0).gate_at == 9
    assert Configuration("gated", (9, 14), 1.0, gate_layer=5).gate_at == 5
    assert Configuration("gated", (), 1.0, heads=4).gate_at == -1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gate_layer": 15}, "gate_layer=15 is too late: it must be not above the lowest steered layer, 14"),
        ({"gate_layer": 14, "heads": 4}, "is too late: it must be below the lowest layer of the heads, 14"),
        ({"positions": "all"}, "a gate is read at the last prompt token, so method 'gated' takes positions=last or"),
        ({"threshold": 1.5}, "threshold=1.5 must be a probability"),
        ({"gate": "sfot"}, "unknown gate 'sfot': did you mean 'soft'"),
        ({"method": "adaptive", "heads": 3}, "method 'adaptive' works on whole layers: remove heads=3"),
        ({"method": "categorical_random", "heads": 3}, "method 'categorical_random' works on whole layers"),
        ({"method": "categorical", "scale": "sigma"}, "method 'categorical' takes scale=raw or unit, not sigma: its"),
        ({"method": "categorical_random", "scale": "norm"}, "takes scale=raw or unit, not norm"),
        ({"method": "adaptive", "scale": "norm"}, "method 'adaptive' takes scale=raw or unit, not norm: its strength"),
        ({"method": "ablation", "scale": "sigma"}, "takes scale=raw, not sigma: its strength is a share of the compon"),
        ({"method": "ablation", "scale": "unit"}, "takes scale=raw, not unit: its strength is a share of the compon"),
        ({"method": "gate", "kl": 0.1}, "method 'gate' has no strength without effect"),
        ({"method": "rotation"}, "unknown method 'rotation': it left the toolkit, as it helped on no model measured"),
        ({"method": "calibrated", "kl": 0.1}, "method 'calibrated' has no strength without effect, so kl=… cannot"),
        (
            {"method": "calibrated", "threshold": 0.4, "release_threshold": 0.5},
            "release_threshold=0.5 must be a probability from 0 to threshold=0.4",
        ),
        ({"method": "calibrated", "release_threshold": -0.1}, "release_threshold=-0.1 must be a probability from 0"),
        ({"method": "gatd"}, "unknown method 'gatd': did you mean 'gate"),
    ],
)  # fmt: skip
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        Configuration(**({"method": "gated", "layers": (14,), "strength": 1.0} | settings))
    assert message in str(error.value) and "\n" not in str(error.value)
