from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from pydantic import ValidationError

from iar.errors import UserError
from iar.pipeline.experiment import settings


@pytest.mark.parametrize("name", sorted(settings.KINDS))
def test_the_settings_of_every_command_are_read_and_given_back(name):
    cfg = settings.compose(name)
    found = settings.read(settings.KINDS[name], cfg)
    assert found.to_dict() == OmegaConf.to_container(cfg, resolve=True)
    with pytest.raises(ValidationError, match="frozen"):
        found.budget = None


def test_others_are_made_by_replace(compose):
    cfg = compose("sweep", "limit=1", "controls=0", "data=folder", "data.root=x")
    assert cfg.replace(limit=3).limit == 3 and cfg.limit == 1
    assert (cfg.controls, cfg.data.root, cfg.data.folder("test")) == (0, "x", "x")


def test_data_in_another_folder_keep_their_parts(compose):
    data = compose("sweep", "data.requests=elsewhere.jsonl").data
    moved = data.moved(Path("b/c"))
    assert (moved.root, moved.validation, moved.pairs) == ("b/c", "b/c/validation", "b/c/train/pairs.jsonl")
    assert moved.requests == "elsewhere.jsonl" and moved.name == "pocket" and moved.seed == 0


def test_a_folder_may_be_called_7(compose):
    assert compose("sweep", "data.root=7", "vectors=8").vectors == "8"


def test_a_data_folder_must_be_named(compose):
    with pytest.raises(UserError, match=r"data=folder needs its folder: data\.root=DIR"):
        compose("sweep", "data=folder")


def test_a_pair_set_without_a_file_of_its_own_must_be_given_one(compose):
    with pytest.raises(UserError, match=r"pairs=spa_vl needs its file: pairs\.path=FILE"):
        compose("extract", "pairs=spa_vl")
    assert compose("extract", "pairs=spa_vl", "pairs.path=x").pairs.path == "x"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch_size=0", "batch_size=0 must be a whole number from 1"),
        ("batch_size=big", "batch_size=big must be a whole number from 1"),
        ("batch_size=null", "batch_size=null must be a whole number from 1"),
        ("limit=0", "limit=0 must be a whole number from 1 or null"),
        ("limit=1.5", "limit=1.5 must be a whole number from 1 or null"),
        ("controls=-1", "controls=-1 must be a whole number from 0"),
        ("controls=true", "controls=true must be a whole number from 0"),
        ("data.seed=x", "data.seed=x must be a whole number from 0 or null"),
        ("model.max_new_tokens=0", "model.max_new_tokens=0 must be a whole number from 1"),
        ("seed=-1", "seed=-1 must be a whole number from 0"),
        ("layer=abc", "layer=abc must be a whole number or a list of whole numbers or all or null"),
        ("layer=[1,a]", "layer=[1, 'a'] must be a whole number or a list of whole numbers or all or null"),
        ("strength=big", "strength=big must be a number"),
        ("strength=true", "strength=true must be a number"),
        ("kl=-1", "kl=-1 must be a number from 0"),
        ("generation.max_kv_gib=0", "generation.max_kv_gib=0 must be a number above 0"),
        ("dry_run=maybe", "dry_run=maybe must be true or false"),
        ("gate_prompts.limit=1", "gate_prompts.limit=1 must be a whole number from 2 or null"),
        ("gate_prompts.attacks=[turns,sistem]", "unknown attack 'sistem': did you mean 'system'"),
        ("attack=sistem", "unknown attack 'sistem': did you mean 'system'"),
        ("scale=sigm", "unknown scale 'sigm': did you mean 'sigma'? (one of: norm, raw, sigma, unit)"),
        ("split=tset", "unknown split 'tset': did you mean 'test'? (one of: test, validation)"),
        ("confirm=all", "unknown confirm 'all': one of: each, false, true"),
        ("executor.kind=rai", "unknown executor.kind 'rai': did you mean 'ray'? (one of: local, ray)"),
        ("+executor.worker=1", "unknown setting 'executor.worker': did you mean 'workers'?"),
        ("+benchmark.pope.protokol=x", "unknown setting 'benchmark.pope.protokol': did you mean 'protocol'?"),
    ],
)
def test_what_a_setting_must_be(compose, override, message):
    with pytest.raises(UserError) as error:
        compose("sweep", override)
    assert str(error.value).startswith(message)


def test_gpus_of_a_worker_are_whole_or_a_part_of_one(compose):
    pool = compose("sweep", "executor=ray", "executor.gpus_per_worker=0.5", "executor.workers=3").executor.pool()
    assert (pool.workers, pool.gpus, pool.cpus, pool.shard) == (3, 0.5, 1, 64)
    with pytest.raises(UserError, match=r"executor\.gpus_per_worker=1\.5 must be a whole number"):
        compose("sweep", "executor=ray", "executor.gpus_per_worker=1.5")
    assert settings.on_ray(compose("sweep", "executor=ray")) and not settings.on_ray(compose("sweep"))


def test_the_questions_of_a_run_need_no_more_than_they_say(compose):
    whole = compose("sweep", "limit=4").to_dict() | {"gone": 1}
    found = settings.checked(settings.Recorded, whole)
    assert (found.split, found.limit, list(found.benchmark)) == ("validation", 4, ["vscbench", "pope", "scienceqa"])
