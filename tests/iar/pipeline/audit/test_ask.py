"""What an audit does with models that fail, and which audits share a folder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from iar.errors import UserError
from iar.generation import Engine
from iar.pipeline.audit import ask
from iar.pipeline.audit.models import models


@pytest.fixture
def listed(pocket_data, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(*names, **settings):
        shared = [f"data.root={pocket_data}", "limit=4", *(f"{key}={value}" for key, value in settings.items())]
        return models([f"{name}={tiny_folder}" for name in names], [*shared, "model.max_new_tokens=2"])

    return make


def test_a_full_memory_and_a_broken_image_are_that_models_own(listed, monkeypatch, capsys):
    import torch

    generate, calls = Engine.run, []

    def run(self, *arguments):
        calls.append(self)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")
        yield from generate(self, *arguments)

    monkeypatch.setattr(Engine, "run", run)
    found = ask.ask(listed("big", "small"))
    assert found.failed == {"big": "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"}
    assert set(found.outcomes["configuration"]) == {"small"} and found.asked == "method=none, limit=4"
    assert "big left out: OutOfMemoryError" in capsys.readouterr().err


def test_a_model_without_a_scored_answer_has_failed(listed, tmp_path):
    (model,) = listed("m")
    found = ask.ask([model])
    (tmp_path / found.folder / "m/verdicts.jsonl").unlink()
    from benchmark.sample import Loaded
    from iar.pipeline.experiment import data
    from iar.records import Run

    asked: dict[str, Loaded] = data.load(model.cfg, ["vscbench"])
    again = ask.opened(model.cfg, ask.check(model.cfg), {"settings": [], "limit": 4})
    assert again.folder == found.folder
    again.add("m", Run.at(found.folder / "m"), asked, ask.check(model.cfg))
    assert again.outcomes.empty and again.failed == {"m": "none of its 4 answers is scored"}


def test_a_longer_list_goes_on_in_the_same_folder_and_another_method_does_not(listed, monkeypatch):
    first = ask.ask(listed("a"))
    asked = []
    monkeypatch.setattr(Engine, "run", lambda self, samples, *rest, **more: asked.append(samples) or iter(()))
    longer = ask.ask(listed("a", "b"))
    assert longer.folder == first.folder and len(asked) > 0
    assert set(longer.outcomes["configuration"]) == {"a"}  # answered before; b was kept from answering
    assert ask.opened(listed("a")[0].cfg, ask.check(listed("a", method="cot")[0].cfg), {}).folder != first.folder
    with pytest.raises(UserError, match="holds another run: method"):
        ask.ask(listed("a", method="cot", run=first.folder))


def test_recorded_answers_need_no_model_library():
    code = "import sys, iar.audit; from iar.pipeline.audit import recorded, report; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.strip() == "False"
