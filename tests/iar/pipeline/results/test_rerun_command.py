"""The printed command makes the same configuration under the same settings: it is read back through Hydra."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from iar.pipeline.evaluation import score
from iar.pipeline.experiment import plan
from iar.pipeline.results import rerun_command
from iar.revision.configuration import Configuration

TEXT = 'Be careful: it\'s "hard", {question} costs ${5} = 5 [a,b] \\o/ \\'
CONFIGURATIONS = [
    Configuration("iar", (14,), 1.5),
    Configuration("iar", (9, 14), 2.0, scale="sigma", positions="generated", estimator="pwd", tokens="first_4"),
    Configuration("iar", (), 12.5, heads=48, pairs="multi_instruction"),
    Configuration("iar", (3, 4), -0.25, heads=6, kl=0.05),
    Configuration("gated", (19,), 3.0, gate_layer=12, threshold=0.7, kl=1e-05),
    Configuration("calibrated", (19,), 1.0, gate_layer=12, threshold=0.7, release=0.25, release_threshold=0.2),
    Configuration("calibrated", (19,), 1.0, release_if="refused"),
    Configuration("gated", (19,), 1 / 3, gate="soft"),
    Configuration("categorical", (14,), 2.0, scale="unit"),
    Configuration("addition", (14,), 0.5, positions="all"),
    Configuration("cot"),
    Configuration("cot+fewshot+iar", (14,), 1.5, shots=2, shots_by="category", shots_seed=3),
    Configuration("prompt", reminder=TEXT),
    Configuration("prompt+iar", (14,), 1.5, reminder="balanced"),
]


def read_back(command: str, compose: Callable[..., Any]) -> Any:
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "iar.evaluate"]
    return compose("evaluate", *words[3:])


@pytest.fixture
def settings(tmp_path: Path, compose: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """What the run folder of a sweep with these arguments says of a configuration."""

    def made(configuration: Configuration, *arguments: str) -> dict[str, Any]:
        score.write_configurations(tmp_path, compose("sweep", *arguments), [configuration])
        return dict(OmegaConf.to_container(OmegaConf.load(tmp_path / "configs" / f"{configuration.name}.yaml")))

    return made


def test_every_field_is_varied_here() -> None:
    for field in fields(Configuration):
        if field.name != "seed":  # of random directions, which are controls
            assert any(getattr(c, field.name) != field.default for c in CONFIGURATIONS), field.name


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)
def test_the_command_makes_the_configuration(configuration, settings, compose) -> None:
    command = rerun_command.evaluate(settings(configuration), configuration, Path("runs/a b/test"))
    cfg = read_back(command, compose)
    assert plan.configuration(cfg) == configuration
    assert (cfg.split, cfg.run) == ("test", "runs/a b/test")


def test_nothing_is_said_that_goes_without_saying(settings) -> None:
    plain = CONFIGURATIONS[0]
    assert rerun_command.evaluate(settings(plain), plain, Path("runs/r/test")) == (
        "python -m iar.evaluate method=iar layer=14 strength=1.5 split=test run=runs/r/test"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["model.path=/m/tiny", "model.name=tiny", "model.max_new_tokens=6", "data.root=d", "vectors=7", "limit=4"],
        ["model=llava-1.5-7b", "model.path=/my llava", "data=folder", "data.root=/data", "benchmark=[pope,xstest]"],
        ["model=folder", "model.name=m", "model.path=m", "benchmark.pope.protocol=llava-8910", "limit=4"],
        ["judge=gpt-4o-mini", "judge.endpoint.concurrency=2", "budget.usd=5", "cache=null", "data.seed=3"],
        ["judge=server", "judge.endpoint.model=M", "judge.endpoint.base_url=http://localhost:1/v1", "executor=ray"],
        ["model=gpt-4o", "method=cot", "+model.endpoint.extra={top_k: 3}", "kl_prompts.limit=8"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_the_settings_of_the_run_come_along(arguments, settings, compose) -> None:
    method = Configuration("cot") if "method=cot" in arguments else CONFIGURATIONS[0]
    then = settings(method, *arguments)
    command = rerun_command.evaluate(then, method, Path("r"))
    now = read_back(command, compose).to_dict()
    shared = then.keys() - {*rerun_command._ELSEWHERE, "pairs", *Configuration().to_dict()}
    assert {key: now[key] for key in shared - {"layer"}} == {key: then[key] for key in shared - {"layer"}}
    assert len(shlex.split(command)) < 16  # what follows from another setting is not said


def test_a_pair_set_of_ones_own_and_a_setting_that_is_gone(settings, compose) -> None:
    own = Configuration("iar", (14,), 1.5, pairs="without-drugs")
    then = settings(own) | {"once": 3}
    del then["kl"], then["cache"]  # a run may be older than a setting
    command = rerun_command.evaluate(then, own, Path("r"))
    assert plan.configuration(read_back(command, compose)) == own and "once" not in command


@pytest.mark.parametrize(
    "value", ["7", "1.5", "true", "Null", "inf", "", " a", "a=b", "a,b", "[a]", "a:b", TEXT, "é", "x" * 80, "a-b/c.d"]
)
def test_texts_are_read_as_they_are(value) -> None:
    override = OverridesParser.create().parse_override(f"key={rerun_command.quoted(value)}")
    found = OmegaConf.create({"key": override.value()})
    assert found.key == value


@pytest.mark.parametrize(
    "value", [None, True, False, 3, -0.25, 1 / 3, 1e-05, 1e20, [9, 14], ["7", None], {"a": [1, "b c"]}]
)
def test_other_values_are_read_as_they_are(value) -> None:
    assert OverridesParser.create().parse_override(f"key={rerun_command.quoted(value)}").value() == value
