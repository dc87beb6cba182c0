"""Other libraries that extract or steer, where they are installed; none is a dependency.

    pip install --no-deps --target DIR steering-vectors==0.12.2 repeng==0.4.0 gguf==0.19.0 pyvene==0.1.8 lm-eval==0.4.13

into a folder of their own, which the environment variable IAR_PEERS names (steering-vectors pins an older transformers,
so none of this can be an extra of iar's); nnsight is there already, as iar reads activations through it.
"""

from __future__ import annotations

import copy
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from typing import Any

import torch
from torch import Tensor

from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.pairs.example import Example

Extractor = Callable[[], "Tensor | None"]
TEXT_ONLY = {"steering-vectors", "repeng"}
MODULES = {
    "steering-vectors": "steering_vectors",
    "repeng": "repeng",
    "pyvene": "pyvene",
    "nnsight": "nnsight",
    "lm-eval steered": "lm_eval.models.hf_steered",
}


def load(name: str) -> Any:
    """The library's module.

    Raises:
        ImportError: It is not installed, or does not run here.
    """
    folder = os.environ.get("IAR_PEERS")
    if folder and folder not in sys.path:
        sys.path.append(folder)  # at the end: nothing of iar's own environment is replaced
    if name == "repeng":
        import numpy

        if not hasattr(numpy, "float_"):
            numpy.float_ = numpy.float64  # type: ignore[attr-defined]  # repeng 0.4.0 names it; NumPy 2 has it no longer
    return importlib.import_module(MODULES[name])


def failure(error: Exception) -> str:
    """One line."""
    lines = str(error).strip().splitlines() or [""]
    return f"cannot: {type(error).__name__}: {lines[0][:160]}"


def text_model(loaded: LoadedModel) -> Any:
    """The LLaVA's text model as a causal language model of its own, which is what some peers take; a copy."""
    from transformers import LlamaForCausalLM

    own = copy.deepcopy(loaded.model)
    with torch.device("meta"):
        found = LlamaForCausalLM(own.config.text_config)
    found.model, found.lm_head = own.model.language_model, own.lm_head
    return found.eval()


def extractors(
    loaded: LoadedModel, examples: Sequence[Example], batch: int
) -> tuple[dict[str, Extractor], dict[str, str]]:
    """Library -> what extracts the last token's vectors of all layers with it; and why the others cannot."""
    usable: dict[str, Extractor] = {}
    refused = {"lm-eval steered": "cannot: it steers with given vectors and extracts none"}
    pairs: dict[str, dict[bool, str]] = {}
    for example in examples:
        pairs.setdefault(example.pair, {})[example.safe] = chat.render(loaded, example.prompt, 0, example.response)
    texts = [(sides[True], sides[False]) for sides in pairs.values()]
    for name, make in (
        ("steering-vectors", _steering_vectors),
        ("repeng", _repeng),
        ("pyvene", _pyvene),
        ("nnsight", _nnsight),
    ):
        try:
            usable[name] = make(load(name), loaded, texts, batch)
        except Exception as error:  # whatever another library raises here: it is shown, not hidden
            refused[name] = failure(error)
    return usable, refused


def _steering_vectors(library: Any, loaded: LoadedModel, texts: list[tuple[str, str]], batch: int) -> Extractor:
    own = copy.deepcopy(loaded.model)

    def run() -> Tensor:
        found = library.train_steering_vector(own, loaded.tokenizer, texts, batch_size=batch)
        return torch.stack([found.layer_activations[layer] for layer in range(len(loaded.decoder))])

    return run


def _repeng(library: Any, loaded: LoadedModel, texts: list[tuple[str, str]], batch: int) -> Extractor:
    """On the text model alone: it does not find the blocks of a LLaVA."""
    own = text_model(loaded)
    entries = [library.DatasetEntry(positive=safe, negative=unsafe) for safe, unsafe in texts]
    layers = list(range(len(loaded.decoder)))

    def run() -> None:
        read = importlib.import_module("repeng.extract").read_representations
        with redirect_stderr(io.StringIO()):  # its bars
            read(own, loaded.tokenizer, entries, hidden_layers=layers, batch_size=batch)

    return run


def _batches(loaded: LoadedModel, texts: list[tuple[str, str]], batch: int) -> list[tuple[Any, int]]:
    """Padded batches of the safe and of the unsafe side, with +1 and -1; padding on the left, so -1 is the last."""
    found = []
    for side, sign in ((0, 1), (1, -1)):
        for start in range(0, len(texts), batch):
            rows = [pair[side] for pair in texts[start : start + batch]]
            encoded = loaded.tokenizer(rows, padding=True, return_tensors="pt").to(loaded.device)
            found.append((encoded, sign))
    return found


def _pyvene(library: Any, loaded: LoadedModel, texts: list[tuple[str, str]], batch: int) -> Extractor:
    own = text_model(loaded)
    layers = range(len(loaded.decoder))
    places = [
        {"component": f"model.layers[{layer}].output", "intervention": library.CollectIntervention()}
        for layer in layers
    ]
    wrapped = library.IntervenableModel(places, model=own)

    def run() -> Tensor:
        total: Tensor | int = 0
        for encoded, sign in _batches(loaded, texts, batch):
            last = encoded["input_ids"].shape[1] - 1
            with torch.no_grad():
                (_, read), _ = wrapped(dict(encoded), unit_locations={"base": last})
            total = total + sign * torch.stack([part.flatten(1).sum(0) for part in _by_layer(read, len(layers))])
        assert isinstance(total, Tensor)
        return total / len(texts)

    return run


def _by_layer(read: Sequence[Tensor], layers: int) -> list[Tensor]:
    """pyvene gives one tensor a layer, or one a layer and row, by version."""
    return [torch.stack(list(read[i::layers])) if len(read) != layers else read[i] for i in range(layers)]


def _nnsight(library: Any, loaded: LoadedModel, texts: list[tuple[str, str]], batch: int) -> Extractor:
    wrapped = library.NNsight(copy.deepcopy(loaded.model))

    def run() -> Tensor:
        total: Tensor | int = 0
        for encoded, sign in _batches(loaded, texts, batch):
            with torch.no_grad(), wrapped.trace(**encoded, use_cache=False, logits_to_keep=1):
                read = library.save([])
                for block in wrapped.model.language_model.layers:
                    read.append(block.output[:, -1].sum(0))
            total = total + sign * torch.stack(list(read))
        assert isinstance(total, Tensor)
        return total / len(texts)

    return run
