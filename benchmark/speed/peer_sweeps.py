"""A sweep beside the loops that other libraries would run: one word an answer, steered at every position, text alone.

That is what all of them can do: none but iar and nnsight steers the last prompt token alone, and most take no images.
"""

from __future__ import annotations

import copy
import importlib
import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from benchmark.sample import Sample
from benchmark.speed import asking, model, peers
from benchmark.speed.figure import Asked, Ratio, Result
from benchmark.speed.timing import interleave, ratios
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.configuration import Configuration

QUESTIONS, WORDS = 4, (50, 50)
Added = dict[int, Tensor]
Loop = Callable[[Added], list[str]]  # what a configuration adds -> the answers of all questions


def sweep_peers(asked: Asked) -> Result:
    """The shared path, the plain path and every library that is there, on the same questions."""
    size = asked.size
    loaded, vectors, folder = asking.asked_model(size)
    samples = model.samples(size, folder, 0, QUESTIONS, WORDS)
    grid = model.configurations(size, "all")
    batch, how = asking.best_batch(size, samples, grid[1], 1, asked.say)
    shared = asking.engine(size, "auto")
    lanes: dict[str, Callable[[], asking.Answers]] = {
        "iar, shared": lambda: asking.answers(shared, samples, grid, 1),
        "iar, plain": lambda: asking.one_at_a_time(size, batch, samples, grid, 1),
    }
    matrix = vectors[model.SOURCE].vectors
    told, found = {}, {}
    with TemporaryDirectory() as scratch:
        for name, make in _LOOPS.items():
            try:
                lane = _sweep(make(peers.load(name), loaded, samples, batch, Path(scratch)), samples, grid, matrix)
                found[name] = lane()
                lanes[name] = lane
            except Exception as error:  # whatever another library raises here: it is shown, not hidden
                told[name] = peers.failure(error)
        seconds, last = interleave(lanes, asked.times(2), asked.say)
    exact, checked = asking.same(last["iar, plain"], last["iar, shared"])
    for name in found:
        same, line = asking.same(last["iar, plain"], last[name])
        told[name] = line if same else f"OTHER ANSWERS: {line}"
    made = [
        Ratio(f"{name} / iar, shared", ratios(seconds[name], seconds["iar, shared"]))
        for name in seconds
        if name != "iar, shared"
    ]
    notes = [how, f"{QUESTIONS} questions of {WORDS[0]} words, {len(grid)} configurations, positions=all"]
    return Result("sweep-peers", seconds, made, exact, checked, peers=told, notes=notes)


def _sweep(
    loop: Loop, samples: Sequence[Sample], grid: Sequence[Configuration], matrix: Tensor
) -> Callable[[], asking.Answers]:
    def run() -> asking.Answers:
        found: asking.Answers = {}
        for configuration in grid:
            added = {layer: configuration.strength * matrix[layer] for layer in configuration.layers}
            for sample, answer in zip(samples, loop(added), strict=True):
                found[sample.id, configuration.name] = answer
        return found

    return run


def _batches(loaded: LoadedModel, samples: Sequence[Sample], batch: int) -> list[dict[str, Tensor]]:
    rows = [chat.encode_rendered(loaded, chat.render(loaded, sample.prompt), []) for sample in samples]
    return [dict(chat.collate(loaded, rows[i : i + batch])) for i in range(0, len(rows), batch)]


def _decoded(loaded: LoadedModel, ids: Tensor) -> list[str]:
    return [str(loaded.tokenizer.decode(row)).strip() for row in ids.reshape(len(ids), -1)]


def _generated(loaded: LoadedModel, own: Any, batches: Sequence[dict[str, Tensor]]) -> list[str]:
    """The answers that `own.generate` gives."""
    found = []
    for features in batches:
        out = own.generate(**features, max_new_tokens=1, do_sample=False, pad_token_id=0)
        found += _decoded(loaded, out[:, features["input_ids"].shape[1] :])
    return found


def _steering_vectors(library: Any, loaded: LoadedModel, samples: Sequence[Sample], batch: int, scratch: Path) -> Loop:
    own, batches = copy.deepcopy(loaded.model), _batches(loaded, samples, batch)

    def answer(added: Added) -> list[str]:
        with library.SteeringVector(added).apply(own):
            return _generated(loaded, own, batches)

    return answer


def _repeng(library: Any, loaded: LoadedModel, samples: Sequence[Sample], batch: int, scratch: Path) -> Loop:
    own, batches = peers.text_model(loaded), _batches(loaded, samples, batch)

    def answer(added: Added) -> list[str]:
        control = library.ControlModel(own, list(added))
        control.set_raw_control(added)
        try:
            return _generated(loaded, control, batches)
        finally:
            control.unwrap()

    return answer


def _pyvene(library: Any, loaded: LoadedModel, samples: Sequence[Sample], batch: int, scratch: Path) -> Loop:
    own, batches = peers.text_model(loaded), _batches(loaded, samples, batch)

    def answer(added: Added) -> list[str]:
        if not added:
            return _generated(loaded, own, batches)
        places = [
            {"component": f"model.layers[{layer}].output", "intervention": lambda base, source, v=vector: base + v}
            for layer, vector in added.items()
        ]
        wrapped = library.IntervenableModel(places, model=own)
        found = []
        for features in batches:
            with torch.no_grad():
                _, out = wrapped(features, unit_locations=None)
            found += _decoded(loaded, out.logits[:, -1].argmax(-1))
        return found

    return answer


def _nnsight(library: Any, loaded: LoadedModel, samples: Sequence[Sample], batch: int, scratch: Path) -> Loop:
    wrapped, batches = library.NNsight(copy.deepcopy(loaded.model)), _batches(loaded, samples, batch)

    def answer(added: Added) -> list[str]:
        found = []
        for features in batches:
            with torch.no_grad(), wrapped.trace(**features, use_cache=False, logits_to_keep=1):
                for layer, vector in added.items():
                    block = wrapped.model.language_model.layers[layer]
                    block.output = block.output + vector
                best = wrapped.output.logits[:, -1].argmax(-1).save()
            found += _decoded(loaded, best)
        return found

    return answer


def _lm_eval(library: Any, loaded: LoadedModel, samples: Sequence[Sample], batch: int, scratch: Path) -> Loop:
    """A model object of its own for every configuration, made from a file of vectors, as its command line does."""
    instance = importlib.import_module("lm_eval.api.instance").Instance
    own, file = peers.text_model(loaded), scratch / "steer.pt"
    prompts = [chat.render(loaded, sample.prompt) for sample in samples]
    asked = [
        instance("generate_until", {}, (prompt, {"until": ["</s>"], "max_gen_toks": 1, "do_sample": False}), index)
        for index, prompt in enumerate(prompts)
    ]

    def answer(added: Added) -> list[str]:
        torch.save(
            {
                f"layers.{layer}": {"steering_vector": vector, "steering_coefficient": 1.0, "action": "add"}
                for layer, vector in added.items()
            },
            file,
        )
        with redirect_stderr(io.StringIO()):  # its bars
            steered = library.SteeredModel(
                own, str(file), device="cpu", tokenizer=loaded.tokenizer, batch_size=batch, add_bos_token=False
            )
            found: list[str] = steered.generate_until(asked, disable_tqdm=True)
        return [text.strip() for text in found]

    return answer


_LOOPS = {
    "steering-vectors": _steering_vectors,
    "repeng": _repeng,
    "pyvene": _pyvene,
    "nnsight": _nnsight,
    "lm-eval steered": _lm_eval,
}
