from __future__ import annotations

from typing import Any

import pytest

from iar.errors import UserError
from iar.pipeline.experiment.plan import check, configuration, plan
from iar.revision.configuration import Configuration


def names(asked: Any) -> list[str]:
    return [c.name for c in asked.configurations]


def test_baseline_first_then_the_jobs_then_the_controls(compose):
    jobs = [compose("sweep", f"layer={layer}", f"strength={s}", "controls=2") for layer in (9, 14, 19) for s in (1, 2)]
    grid = [f"iar-L{layer}-x{s}" for layer in (9, 14, 19) for s in (1, 2)]
    controls = [f"random-L14-x{s}-s{seed}" for s in (1, 2) for seed in (1, 2)]
    assert names(plan(jobs)) == ["none", *grid, *controls]
    assert plan(jobs).benchmarks == ("vscbench", "pope", "scienceqa")


def test_one_run_has_one_protocol_of_a_benchmark(compose):
    jobs = [compose("sweep", f"benchmark.pope.protocol={name}") for name in ("official-9000", "llava-8910")]
    with pytest.raises(UserError, match="one run has one protocol of pope"):
        plan(jobs)
    jobs = [compose("sweep", f"benchmark={name}", f"benchmark.{name}.protocol=null") for name in ("pope", "vscbench")]
    assert set(plan(jobs).benchmarks) == {"pope", "vscbench"}


def test_of_two_layers_the_lower_carries_the_controls(compose):
    jobs = [compose("sweep", f"layer={layer}", "controls=1") for layer in (19, 9)]
    assert names(plan(jobs)) == ["none", "iar-L19-x1.5", "iar-L9-x1.5", "random-L9-x1.5-s1"]


def test_the_baseline_is_there_once_and_has_no_controls(compose):
    assert names(plan([compose("sweep", "method=none")])) == ["none"]
    jobs = [compose("sweep", f"method={method}", "layer=2", "controls=0") for method in ("none", "iar", "iar")]
    assert names(plan(jobs)) == ["none", "iar-L2-x1.5"]


def test_head_level_has_controls_of_its_own(compose):
    jobs = [compose("sweep", f"heads={k}", "controls=1") for k in (0, 8, 48)]
    grid = ["iar-L14-x1.5", "iar-H8-x1.5", "iar-H48-x1.5"]
    assert names(plan(jobs)) == ["none", *grid, "random-L14-x1.5-s1", "random-H8-x1.5-s1"]


def test_estimators_share_their_control_and_random_ones_need_none(compose):
    jobs = [compose("sweep", f"estimator={name}", "controls=1") for name in ("mms", "pwd", "random")]
    grid = ["iar-L14-x1.5", "iar-L14-x1.5-pwd", "iar-L14-x1.5-random"]
    assert names(plan(jobs)) == ["none", *grid, "random-L14-x1.5-s1"]
    assert [c.control for c in plan(jobs).configurations] == [False, False, False, True, True]


def test_under_sigma_an_estimator_has_a_control_of_its_own_length(compose):
    jobs = [compose("sweep", f"estimator={name}", "scale=sigma", "controls=1") for name in ("mms", "pwd")]
    assert names(plan(jobs))[3:] == ["random-L14-x1.5-sigma-s1", "random-L14-x1.5-sigma-pwd-s1"]


def test_one_pair_set_has_one_setting(compose):
    jobs = [compose("sweep", f"pairs.limit={n}", f"layer={layer}") for n in (8, 16) for layer in (2, 3)]
    with pytest.raises(UserError, match=r"one sweep has one pair set 'multi_response': .*pairs\.name="):
        plan(jobs)
    assert list(plan(jobs[:2]).pairs) == ["multi_response"]


def test_pair_sets_bring_their_token_policy(compose):
    jobs = [compose("sweep", f"pairs={name}", "controls=0") for name in ("multi_response", "multi_instruction")]
    asked = plan(jobs)
    assert names(asked) == ["none", "iar-L14-x1.5", "iar-L14-x1.5-multi_instruction-last_prompt"]
    assert [c.source for c in asked.configurations[1:]] == [
        "multi_response-mms-mean",
        "multi_instruction-mms-last_prompt",
    ]
    assert {name: cfg.pairs.strategy for name, cfg in asked.pairs.items()} == {
        "multi_response": "multi_response",
        "multi_instruction": "multi_instruction",
    }


def test_jobs_with_one_benchmark_each_are_one_plan(compose):
    jobs = [compose("sweep", f"benchmark={name}", "controls=0") for name in ("pope", "vscbench")]
    asked = plan(jobs)
    assert asked.benchmarks == ("pope", "vscbench")
    assert names(asked) == ["none", "iar-L14-x1.5"]


@pytest.mark.parametrize(("override", "name"), [("model=llava-1.5-7b", "model"), ("limit=3", "limit")])
def test_one_sweep_has_one_of_everything_else(compose, override, name):
    with pytest.raises(UserError, match=f"one run has one {name}: run again for each value of '{name}'"):
        plan([compose("sweep"), compose("sweep", override)])


def test_configuration_takes_every_setting(compose):
    found = configuration(
        compose("sweep", "layer=[9,14]", "strength=2", "scale=unit", "positions=all", "tokens=last", "method=random")
    )
    assert found == Configuration("random", (9, 14), 2.0, "unit", "all", tokens="last")
    assert configuration(compose("evaluate", "heads=48", "estimator=pwd")) == Configuration(
        "iar", (), 1.5, estimator="pwd", heads=48
    )
    assert configuration(compose("evaluate", "heads=4", "layer=[2,3]")).layers == (2, 3)
    assert configuration(compose("evaluate", "heads=4", "layer=all")).layers == ()
    assert configuration(compose("evaluate")).layers == (14,)
    assert configuration(compose("evaluate", "seed=7")).seed == 0  # the seed is that of random directions
    assert configuration(compose("evaluate", "method=random", "seed=7")).seed == 7
    assert configuration(compose("evaluate", "method=none", "layer=7")) == Configuration()


def test_settings_of_parts_that_a_method_has_not_are_left_out(compose):
    def found(*overrides: str) -> Configuration:
        return configuration(compose("evaluate", *overrides))

    assert found("method=cot", "layer=7", "shots=7") == Configuration("cot")
    assert found("method=prompt") == Configuration("prompt", reminder="standard")
    assert found("method=fewshot+iar", "shots=2", "shots_seed=3", "layer=3") == Configuration(
        "fewshot+iar", (3,), 1.5, shots=2, shots_by="seed", shots_seed=3
    )
    # in whichever order its parts are named
    combined = found("method=iar+cot+prompt", "reminder='Mind, and: {question}'", "layer=3")
    assert combined == Configuration("cot+prompt+iar", (3,), 1.5, reminder="Mind, and: {question}")
    assert found("method=fewshot", "shots_by=category").name == "fewshot-1-category"
    assert found("method=none+cot") == Configuration("cot")


def test_prompted_methods_are_jobs_like_others_and_only_steered_ones_have_controls(compose):
    axes = ("method=cot", "method=fewshot", "method=iar", "method=fewshot+iar", "method=fewshot+iar")
    jobs = [compose("sweep", axis, f"shots={shots}", "controls=1") for axis in axes for shots in (1, 2)]
    jobs += [compose("sweep", "method=prompt", f"reminder={name}", "controls=1") for name in ("standard", "brief")]
    iar, random = "iar-L14-x1.5", "random-L14-x1.5-s1"
    assert names(plan(jobs)) == [
        *(
            "none",
            "cot",
            "fewshot-1",
            "fewshot-2",
            iar,
            f"fewshot-1+{iar}",
            f"fewshot-2+{iar}",
            "prompt",
            "prompt-brief",
        ),
        *(random, f"fewshot-1+{random}", f"fewshot-2+{random}"),
    ]


def test_gates_bring_their_controls(compose):
    jobs = [
        compose("sweep", "method=gated", "layer=3", f"strength={s}", "threshold=0.7", "gate_layer=2", "controls=2")
        for s in (1, 2)
    ]
    assert names(plan(jobs)) == [
        "none",
        "gated-L3-x1-g2-t0.7",
        "gated-L3-x2-g2-t0.7",
        *(f"{kind}-L3-x1-g2-t0.7-s{seed}" for kind in ("gated_random", "random_gate") for seed in (1, 2)),
        "gate-L3-g2-t0.7",
        *(f"{kind}-L3-x2-g2-t0.7-s{seed}" for kind in ("gated_random", "random_gate") for seed in (1, 2)),
    ]
    asked = ("method=calibrated", "layer=3", "strength=1", "release=0.25", "release_threshold=0.2", "controls=2")
    assert names(plan([compose("sweep", *asked)])) == [
        "none",
        "calibrated-L3-x1-r0.25-rt0.2",
        *(f"calibrated_random-L3-x1-r0.25-rt0.2-s{seed}" for seed in (1, 2)),
        *(f"calibrated_random_gate-L3-x1-r0.25-rt0.2-s{seed}" for seed in (1, 2)),
    ]
    plain = configuration(compose("sweep", "threshold=0.7", "gate=soft", "gate_layer=3", "layer=5", "release=2"))
    assert plain == Configuration("iar", (5,), 1.5)  # settings of a gate mean nothing without one
    assert names(plan([compose("sweep", "kl=0.1", "strength=4")])) == ["none", "iar-L14-x4-kl0.1"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("layer=all", "layer=all chooses heads from every layer: say how many, e.g. heads=48"),
        ("heads=-1", "heads=-1 must be a whole number from 0"),
        ("estimator=mns", "unknown estimator 'mns': did you mean 'mms'"),
        ("layer=[]", "method 'iar' needs a layer"),
        ("strength=nan", "strength=nan must be a number"),
        ("method=iarr", "unknown method 'iarr': did you mean 'iar'"),
        ("method=fewshots+iar", "unknown method 'fewshots': did you mean 'fewshot'"),
        ("method=iar+random", "steers in two ways"),
        ("method=cot+cot", "names a part twice"),
        ("scale=units", "unknown scale 'units': did you mean 'unit'"),
        ("positions=lasts", "unknown positions 'lasts': did you mean 'last'"),
        ("tokens=means", "unknown token policy 'means': did you mean 'mean'"),
    ],
)
def test_bad_settings(compose, override, message):
    with pytest.raises(UserError) as error:
        plan([compose("sweep", override)])
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("method=prompt", "reminder=standart"), "unknown reminder 'standart': did you mean 'standard'"),
        (("method=prompt+iar", "reminder=''"), "reminder is empty"),
        (("method=fewshot", "shots=0"), "shots=0 must be a whole number from 1"),
        (("method=fewshot", "shots=two"), "shots=two must be a whole number from 1"),
        (("method=fewshot", "shots_seed=x"), "shots_seed=x must be a whole number from 0"),
        (("method=fewshot", "shots_by=categories"), "unknown shots_by 'categories': did you mean 'category'"),
    ],
)
def test_bad_settings_of_what_is_said(compose, overrides, message):
    with pytest.raises(UserError) as error:
        plan([compose("evaluate", *overrides)])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_what_the_model_does_not_have(tiny):
    check([Configuration(), Configuration("iar", (0, 5), 1.0), Configuration("iar", (), 1.0, heads=24)], tiny)
    for layer in (6, -1):
        with pytest.raises(UserError, match=f"layer {layer} is outside the model 'tiny-llava': its layers are 0 to 5"):
            check([Configuration("iar", (layer,), 1.0)], tiny)
    with pytest.raises(UserError, match=r"heads=25 of model 'tiny-llava': it has 24: take heads=24 or fewer$"):
        check([Configuration("iar", (), 1.0, heads=25)], tiny)
    with pytest.raises(UserError, match="heads=5 of model 'tiny-llava': layers 2 have 4: take heads=4 or fewer, or "):
        check([Configuration("iar", (2,), 1.0, heads=5)], tiny)
