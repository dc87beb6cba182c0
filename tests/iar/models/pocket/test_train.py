from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor

from iar.models.pocket import architecture, encoding, train

TINY = ["--eager", "--workers", "1", "--batch", "4", "--vision-batch", "4"]
STEPS = ["--vision-steps", "2", "--text-steps", "1", "--steps", "1", "1", "1", "2"]


def run(folder: Path, *arguments: str) -> str:
    """A training run in this process: the same code, without a second start of Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train", "--out", str(folder), *TINY, *arguments])
        threads = torch.get_num_threads()
        train.main()
        torch.set_num_threads(threads)
    return (folder / "model/model.safetensors").read_bytes().hex()


def state(folder: Path) -> tuple[str, int]:
    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        meta = file.metadata()
    return meta["stage"], int(meta["step"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory, warm_python) -> Path:
    """Two vision steps, one of text and five at the four depths, run as a user does."""
    folder = tmp_path_factory.mktemp("whole")
    command = [warm_python, "-m", "iar.models.pocket.train", "--out", str(folder), *TINY]
    done = subprocess.run([*command, *STEPS], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"saved {folder / 'model'}"
    assert state(folder) == ("32 layers", 2)
    return folder


def test_the_saved_model_loads_and_answers(whole):
    folder = whole / "model"
    processor, model = AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)
    assert model.dtype == torch.float16
    assert (folder / "model.safetensors").stat().st_size < 12 * 2**20
    assert model.config.text_config.num_hidden_layers == 32 == len(model.get_decoder().layers)
    content = [{"type": "image"}, {"type": "text", "text": "How do I use this item?"}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    picture = train.scenes.objects(train.random.Random(0), ["spoon"]).image
    inputs = processor(text=[prompt], images=[picture], return_tensors="pt")
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == architecture.IMAGE_TOKENS
    with torch.no_grad():
        logits = model.float()(**inputs).logits
    assert logits.shape[-1] == len(processor.tokenizer) and logits.isfinite().all()


def test_the_same_command_gives_the_same_bytes_and_another_seed_does_not(whole, tmp_path):
    again = run(tmp_path / "again", *STEPS)
    assert again == (whole / "model/model.safetensors").read_bytes().hex()
    assert run(tmp_path / "seed", *STEPS, "--seed", "1") != again


LAST = [("32 layers", 0), ("32 layers", 1)]
EVERY = [("vision", 0), ("vision", 1), ("text", 0), ("4 layers", 0), ("8 layers", 0), ("16 layers", 0), *LAST]


def test_an_interrupted_run_goes_on_where_it_was(whole, tmp_path, monkeypatch):
    """Killed again and again, at any depth: each run does only what is left, with the same result."""
    steps: list[tuple[str, int]] = []
    kills = [("vision", 1), ("text", 0), ("4 layers", 0), ("16 layers", 0), ("32 layers", 0)]
    real = train.Run.step

    def counted(self, stage, first, step):
        if kills and steps[-1:] == kills[:1]:
            raise KeyboardInterrupt
        steps.append((stage.name, step))
        return real(self, stage, first, step)

    monkeypatch.setattr(train.Run, "step", counted)
    while kills:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, *STEPS, "--save-every", "1")
        assert steps == EVERY[: EVERY.index(kills.pop(0)) + 1] and not (tmp_path / "model").exists()
    assert run(tmp_path, *STEPS, "--save-every", "1") == (whole / "model/model.safetensors").read_bytes().hex()
    assert steps == EVERY


def test_a_finished_run_with_more_steps_trains_on(whole, tmp_path):
    name = "checkpoint.safetensors"
    (tmp_path / name).write_bytes((whole / name).read_bytes())
    longer = run(tmp_path, *STEPS[:-1], "3")
    assert state(tmp_path) == ("32 layers", 3)
    assert longer != (whole / "model/model.safetensors").read_bytes().hex()


def test_the_workers_start_with_one_projector_and_draw_their_own_examples(tmp_path):
    """Else the replicas part, and what a resumed run has in common is the first worker's alone."""
    args = train.options.parser().parse_args(["--out", str(tmp_path), *TINY, *STEPS])
    workers = [train.Run(args, rank, 1) for rank in (0, 1)]
    for worker in workers:
        worker.forward = train.TrainingForward(worker.model, compiled=False)
        before = worker.model.model.multi_modal_projector.linear_1.weight.clone()
        worker.fit_projector()
        assert not torch.equal(worker.model.model.multi_modal_projector.linear_1.weight, before)
    states = [worker.model.state_dict() for worker in workers]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert workers[0].random("text", 0).random() != workers[1].random("text", 0).random()


def test_the_log_holds_losses_by_task(tmp_path, monkeypatch):
    monkeypatch.setattr(train.Run, "vision_step", lambda self, step: (torch.tensor(float(step)), {"task": 0.5}))
    monkeypatch.setattr(train.Run, "reduce", lambda self, parameters: None)
    monkeypatch.setattr(train.Muon, "step", lambda self, factor: None)
    run(tmp_path, "--vision-steps", "100", "--text-steps", "0", "--steps", "0", "0", "0", "0")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"], line["loss"], line["task"]) for line in lines] == [
        ("vision", 50, 24.5, 0.5),
        ("vision", 100, 74.5, 0.5),
    ]


def test_vision_targets_name_object_colour_and_word():
    scene = train.scenes.concat(train.random.Random(0), "gun")
    targets = encoding.vision_targets([scene])[0]
    index, count = train.scenes.OBJECTS.index("gun"), len(train.scenes.OBJECTS)
    colour = encoding.COLOURS.index(scene.items[0].colour)
    word = count * 7 + encoding.WORDS.index("gun")
    assert targets.nonzero().flatten().tolist() == sorted([index, count + index * 6 + colour, word])
    assert len(targets) == encoding.TARGETS == 24 * 7 + 24 + 18
