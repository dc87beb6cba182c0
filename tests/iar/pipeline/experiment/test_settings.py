from __future__ import annotations

import pytest

from iar.errors import UserError
from iar.pipeline.experiment.settings import check


def test_the_defaults_of_every_command_are_fine(compose):
    for name in ("sweep", "evaluate", "extract"):
        check(compose(name))
    check(compose("sweep", "limit=1", "controls=0", "data=folder", "data.root=x"))


def test_a_data_folder_must_be_named(compose):
    with pytest.raises(UserError, match=r"data=folder needs its folder: data\.root=DIR"):
        check(compose("sweep", "data=folder"))


def test_a_pair_set_without_a_file_of_its_own_must_be_given_one(compose):
    with pytest.raises(UserError, match=r"pairs=spa_vl needs its file: pairs\.path=FILE"):
        check(compose("extract", "pairs=spa_vl"))
    check(compose("extract", "pairs=spa_vl", "pairs.path=x"))


def test_an_attack_that_gates_shall_know_must_exist(compose):
    check(compose("extract", "gate_prompts.attacks=system"))
    with pytest.raises(UserError, match="unknown attack 'sistem': did you mean 'system'"):
        check(compose("extract", "gate_prompts.attacks=[turns,sistem]"))


@pytest.mark.parametrize(
    "override",
    [
        *("batch_size=0", "batch_size=big", "batch_size=null", "limit=0", "limit=1.5", "controls=-1", "controls=true"),
        *("data.seed=x", "model.max_new_tokens=0", "seed=-1"),
    ],
)
def test_numbers_that_are_none(compose, override):
    with pytest.raises(UserError, match=rf"{override.partition('=')[0]}=.* is not a whole number from [01]"):
        check(compose("sweep", override))
