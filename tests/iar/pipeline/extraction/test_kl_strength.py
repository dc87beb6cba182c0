"""Strengths by budget on the tiny model, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iar import vectors
from iar.errors import UserError
from iar.generation.divergence import answered, divergence
from iar.models import chat
from iar.pipeline.experiment.settings import Scoring
from iar.pipeline.extraction import kl_strength
from iar.prompting import Turn
from iar.revision import Configuration, directions

SOURCE = "multi_response-mms-mean"
LOW, HIGH = (Configuration("iar", (2,), 40.0, scale="unit", kl=kl) for kl in (0.005, 0.03))


@pytest.fixture
def cfg(compose: Callable[..., Scoring], pocket_data: Path, tmp_path: Path) -> Scoring:
    paths = f"kl_prompts.paths=[{pocket_data}/train/requests.jsonl,{pocket_data}/train/instructions.jsonl]"
    return compose("sweep", f"data.root={pocket_data}", f"vectors={tmp_path}", paths, "kl_prompts.limit=5")


@pytest.fixture(scope="module")
def found(tiny_vectors: Path) -> dict[str, Any]:
    return {SOURCE: vectors.read(tiny_vectors / f"{SOURCE}.safetensors")}


def limited(cfg: Scoring, limit: int) -> Scoring:
    return cfg.replace(kl_prompts=cfg.kl_prompts.replace(limit=limit))


def measured(tiny: Any, cfg: Scoring, configuration: Configuration, found: dict[str, Any]) -> float:
    """The divergence at the configuration's strength, without the search."""
    rows = []
    for side in kl_strength.benign(cfg):
        shown = (side.image,) if side.image else ()
        prompt = chat.converse(tiny, (Turn("user", side.prompt, shown),))
        rows.append(chat.encode_rendered(tiny, prompt, [chat.open_image(path) for path in shown]))
    revision = directions(configuration, found[SOURCE])
    return divergence(tiny, revision, configuration.positions, answered(tiny, rows))


def test_the_budget_is_kept_and_used_up(tiny, cfg, found, capsys):
    plain = Configuration("iar", (2,), 1.5)
    strengths = kl_strength.resolve(cfg, tiny, [Configuration(), plain, LOW, HIGH], found)
    assert set(strengths) == {LOW, HIGH}
    assert 0 < strengths[LOW] < strengths[HIGH] < 40
    for configuration, strength in strengths.items():
        at = replace(configuration, strength=strength)
        assert 0.5 * configuration.kl < measured(tiny, cfg, at, found) <= configuration.kl
        assert measured(tiny, cfg, replace(at, strength=strength + 0.41), found) > configuration.kl
        assert f"{configuration.name}: strength {strength:.4g} (" in capsys.readouterr().err or configuration is HIGH


def test_what_was_found_is_not_searched_again(tiny, cfg, found, tmp_path):
    first = kl_strength.resolve(cfg, tiny, [HIGH], found)
    (file,) = tmp_path.iterdir()
    assert file.name == f"{SOURCE}.kl.json"
    content = file.read_bytes()
    (entry,) = json.loads(content).values()
    assert entry["strength"] == first[HIGH] and entry["configuration"] == HIGH.name and entry["kl"] <= 0.03
    unable = replace(tiny, model=None)  # nothing can be asked of it
    assert unable.fingerprint == tiny.fingerprint
    assert kl_strength.resolve(cfg, unable, [HIGH], found) == first
    said = replace(HIGH, method="cot+iar")  # what is said has no part in it
    assert kl_strength.resolve(cfg, unable, [said], found) == {said: first[HIGH]}
    assert file.read_bytes() == content
    for other in (LOW, replace(HIGH, strength=4.0), replace(HIGH, layers=(3,)), replace(HIGH, positions="all")):
        with pytest.raises(AttributeError):
            kl_strength.resolve(cfg, unable, [other], found)
    fewer = limited(cfg, 4)
    with pytest.raises(AttributeError):
        kl_strength.resolve(fewer, unable, [HIGH], found)
    file.write_text("[torn")
    assert kl_strength.resolve(cfg, tiny, [HIGH], found) == first and file.read_bytes() == content


def test_a_budget_that_does_not_bind_gives_the_upper_end(tiny, cfg, found, capsys):
    weak = Configuration("iar", (2,), 0.001, scale="unit", kl=0.5)
    assert kl_strength.resolve(cfg, tiny, [weak], found) == {weak: 0.001}
    assert "kl=0.5 does not bind" in " ".join(capsys.readouterr().err.split())


def test_the_prompts_are_safe_and_of_each_file_as_many(cfg, pocket_data):
    sides = kl_strength.benign(cfg)
    rows = [
        json.loads(line)
        for name in ("requests", "instructions")
        for line in (pocket_data / f"train/{name}.jsonl").open()
    ]
    safe = {row["safe"]["prompt"] for row in rows if "safe" in row}
    assert len(sides) == 5 and {side.prompt for side in sides} <= safe
    assert any(side.image for side in sides)
    assert kl_strength.benign(cfg) == sides
    assert len(kl_strength.benign(limited(cfg, 10_000))) == sum("safe" in row for row in rows)


def test_nothing_is_read_where_nothing_has_a_budget(found):
    assert kl_strength.resolve(None, None, [Configuration(), Configuration("iar", (2,), 1.5)], found) == {}  # type: ignore


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "needs benign prompts, and none are given"),
        (["nowhere.jsonl"], "benign prompts, but nowhere.jsonl does not exist.*kl_prompts.paths="),
        (["unsafe.jsonl"], "no safe sides in unsafe.jsonl"),
    ],
)
def test_prompts_that_are_none(cfg, paths, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("unsafe.jsonl").write_text('{"id": "1", "unsafe": {"prompt": "How?"}}\n')
    with pytest.raises(UserError, match=message):
        kl_strength.benign(cfg.replace(kl_prompts=cfg.kl_prompts.replace(paths=tuple(paths))))


def test_bad_budgets_and_missing_vectors(tiny, cfg, found):
    with pytest.raises(UserError, match=r"kl=-1\.0 must be a number of nats above 0"):
        kl_strength.resolve(cfg, tiny, [replace(LOW, kl=-1.0)], found)
    with pytest.raises(UserError, match="needs vectors other-mms-mean"):
        kl_strength.resolve(cfg, tiny, [replace(LOW, pairs="other")], found)
