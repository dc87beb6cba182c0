from __future__ import annotations

import pytest

from iar.errors import UserError
from iar.pipeline.audit.models import models, names, quoted


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("models=a,b", "models=['a','b']"),
        ("models=[a, mine=/models/a b]", "models=['a','mine=/models/a b']"),
        ("models=['a',\"b\"]", "models=['a','b']"),
        ("models=null", "models=null"),
        ("limit=3", "limit=3"),
    ],
)
def test_entries_as_hydra_reads_them(argument, wanted):
    assert quoted(argument) == wanted


def test_a_list_one_name_or_none():
    assert (names(["a", "b=c"]), names("a"), names(None)) == (["a", "b=c"], ["a"], [])


def test_a_name_of_conf_keeps_its_settings_with_other_weights():
    known, own = models(["llava-1.6-7b=/models/copy", "mine=/models/it's"], ["limit=3"])
    assert (known.name, known.cfg.model.name, known.cfg.model.path) == ("llava-1.6-7b", "llava-1.6-7b", "/models/copy")
    assert (own.name, own.cfg.model.name, own.cfg.model.path) == ("mine", "mine", "/models/it's")
    assert (own.cfg.model.dtype, own.cfg.model.max_new_tokens, own.cfg.limit) == ("bfloat16", 256, 3)
    assert list(own.cfg.benchmark) == ["vscbench"] and (own.cfg.method, own.cfg.split) == ("none", "test")


def test_nothing_is_chosen_so_all_of_the_set_is_asked(tmp_path):
    (found,) = models(["pocket"], ["data=folder", f"data.root={tmp_path}"])
    assert found.cfg.data.shared is False and found.cfg.data.test == str(tmp_path)


def test_a_models_setting_is_for_those_that_have_it(capsys):
    local, endpoint = models(["pocket", "gpt-4o"], ["model.dtype=float16", "model.endpoint.concurrency=2"])
    assert local.cfg.model.dtype == "float16" and local.cfg.model.endpoint is None
    assert endpoint.cfg.model.endpoint["concurrency"] == 2 and "dtype" not in endpoint.cfg.model.to_dict()
    told = capsys.readouterr().err
    assert "pocket has no such setting, it is asked without: model.endpoint.concurrency=2" in told
    assert "gpt-4o has no such setting, it is asked without: model.dtype=float16" in told


@pytest.mark.parametrize(
    ("entries", "arguments", "told"),
    [
        (["pokket"], [], "unknown model 'pokket': did you mean 'pocket'"),
        (["folder"], [], "unknown model 'folder'"),
        (["pocket", "pocket=/x"], [], "two models have the name 'pocket'"),
        (["../x=/x"], [], "'../x' is not a valid name"),
        (["x="], [], "'x=' names no folder"),
        (["pocket"], ["model.path=/x"], "takes its models as models="),
        (["pocket"], ["model=gpt-4o"], "takes its models as models="),
        (["pocket", "gpt-4o"], ["model.quantisation=4bit"], "did you mean 'model.quantization'"),
        (["pocket"], ["limit=0"], "limit=0"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_loaded(entries, arguments, told):
    with pytest.raises(UserError, match="(?s)" + told.replace("[", r"\[")):
        models(entries, arguments)
