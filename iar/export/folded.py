"""A checkpoint with the vector in a bias: whatever reads the folder is steered, and needs no hooks.

    W x + b      becomes      W x + (b + v / c)        of the last projection of a block that adds c times it to x

This is ``positions=all``, and exact. Where the class has no such bias, a setting of its config may give it one
(``mlp_bias`` of Llama's); the folder is then read again and compared, as many classes drop a bias without a word.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.initialization import no_init_weights

from iar import models
from iar.errors import UserError
from iar.export import card, comparing
from iar.export.comparing import Comparison
from iar.export.constant import constant
from iar.export.place import places
from iar.models import LoadedModel
from iar.models.processor import save_processor
from iar.revision import Configuration
from iar.vectors import VectorSet

_HOW = """`config.json` says the same under `iar`. Every program that reads transformers' checkpoints answers steered:
`transformers serve`, vLLM and others. Every position is steered, of the prompt and of the answer."""


def write(loaded: LoadedModel, vectors: VectorSet, configuration: Configuration, out: Path) -> Comparison:
    """Write the folder, which appears only when it was read again and answers as the hooks do.

    Raises:
        UserError: There is something at ``out``; a configuration that is not constant at every position; a block that
            no bias can steer; a class that does not keep the bias.
    """
    if out.exists():
        raise UserError(f"{out} exists already and is not overwritten: give another folder or remove it")
    if getattr(loaded.model.config, "quantization_config", None) is not None:
        raise UserError(f"model {loaded.id!r} is quantised, and its biases are not: fold into the model itself")
    added = constant(configuration, vectors, "a bias", dtype=loaded.model.dtype)
    where = places(loaded, added)
    wanted = comparing.reference(loaded, vectors, configuration)
    biases = {where[block].name: vector / where[block].factor for block, vector in added.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        fresh = Path(scratch) / out.name
        with _biased(loaded.model, biases, card.steering(configuration, vectors)):
            loaded.model.save_pretrained(fresh)
        save_processor(loaded.processor, fresh)
        again = models.load(fresh, dtype=loaded.dtype, device=str(loaded.device))
        compared = comparing.compare(loaded, again.model, wanted)
        if not compared.holds:
            kind = type(loaded.model).__name__
            raise UserError(
                f"{kind} does not keep the bias: saved and read again, its logits are off by {compared.error:.2g} "
                f"where steering changes them by {compared.effect:.2g}, so {out} is not written: take python -m "
                "iar.export peft"
            )
        what = f"{loaded.id} with a steering vector added to a bias: every answer of this checkpoint is steered."
        (fresh / "README.md").write_text(card.text(what, _HOW, configuration, vectors, compared), encoding="utf-8")
        shutil.move(fresh, out)
    return compared


@contextmanager
def _biased(model: Any, biases: Mapping[str, Tensor], said: dict[str, Any]) -> Iterator[None]:
    """The model with these added to the biases of its modules, and what its config must say; then as it was.

    Args:
        biases: Name of a linear module -> (out,).
    """
    config, before = model.config, {}
    model.config = copy.deepcopy(config)
    extra = _setting(model, biases)
    model.config.iar = said
    for name in {**extra, **biases}:
        module = model.get_submodule(name)
        before[name] = module.bias
        size = extra.get(name, (model.config.get_text_config(decoder=True).hidden_size,))
        given = module.weight.new_zeros(size) if before[name] is None else before[name].detach().clone()
        if name in biases:
            given += biases[name].to(given)
        module.bias = nn.Parameter(given, requires_grad=False)
    try:
        yield
    finally:
        model.config = config
        for name, bias in before.items():
            model.get_submodule(name).bias = bias


def _setting(model: Any, names: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Sets what gives these modules a bias in ``model.config``; the modules that get one with it, and their sizes.

    None where they have one, or where no setting gives them one: then comparing will tell.
    """
    if all(model.get_submodule(name).bias is not None for name in names):
        return {}
    there = {name for name, _ in model.named_parameters()}
    text = model.config.get_text_config(decoder=True)
    for flag in [key for key, value in text.to_dict().items() if "bias" in key and value is False]:
        setattr(text, flag, True)
        with torch.device("meta"), no_init_weights():
            made = {name: bias.shape for name, bias in type(model)(model.config).named_parameters()}
        new = {name: made[name] for name in made if name.endswith(".bias") and name not in there}
        if {f"{name}.bias" for name in names} <= new.keys():
            return {name.removesuffix(".bias"): shape for name, shape in new.items()}
        setattr(text, flag, False)
    return {}
