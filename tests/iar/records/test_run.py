from __future__ import annotations

import os

import pytest

from iar.errors import UserError
from iar.records import Run

DEFINITION = {"model": {"id": "pocket", "dtype": "float32"}, "layers": (9, 14), "limit": None}


def test_a_run_is_made_once_and_then_resumed(tmp_path):
    run = Run.open(tmp_path / "deep" / "run", DEFINITION)
    assert not run.resumed
    run.log("generations").append({"key": "k"})
    again = Run.open(run.path, DEFINITION)
    assert again.resumed
    assert again.log("generations").read() == [{"key": "k"}]
    assert Run.at(run.path).definition == {**DEFINITION, "layers": [9, 14]}


def test_another_definition_names_what_differs_and_the_way_out(tmp_path):
    Run.open(tmp_path, DEFINITION)
    other = {"model": {"id": "llava", "dtype": "float32"}, "layers": (9, 14), "seed": 3}
    with pytest.raises(UserError) as raised:
        Run.open(tmp_path, other)
    message = str(raised.value)
    assert 'model.id: "pocket" there, "llava" now' in message
    assert "limit: null there, nothing now" in message
    assert "seed: nothing there, 3 now" in message
    assert "dtype" not in message
    assert "run=OTHER" in message and "\n" not in message


def test_a_part_computed_again_is_redefined_on_disk(tmp_path):
    run = Run.open(tmp_path, DEFINITION)
    assert run.redefined(limit=3).definition == Run.at(tmp_path).definition == {**run.definition, "limit": 3}
    assert Run.open(tmp_path, DEFINITION | {"limit": 3}).resumed
    assert {p.name for p in tmp_path.iterdir()} == {"definition.json", ".lock"}


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="no run in"):
        Run.at(tmp_path)
    (tmp_path / "generations.jsonl").write_text("")
    with pytest.raises(UserError, match=r"records but no definition\.json"):
        Run.open(tmp_path, DEFINITION)
    (tmp_path / "definition.json").write_text("{")
    with pytest.raises(UserError, match=r"definition\.json is not JSON"):
        Run.open(tmp_path, DEFINITION)


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match=r"cannot write the run folder .*run: "):
        Run.open(tmp_path / "run", DEFINITION)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_write_permission_is_a_user_error(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match="Permission denied"):
        Run.open(tmp_path / "run", DEFINITION)
