"""A LoRA adapter that is nothing but a bias: A = B = 0, and B's bias is the vector (PEFT's ``lora_bias``).

    W x + B (A x) + v / c         of the last projection of a block that adds c times it to x

It steers at every position, like the folded checkpoint, but copies no weights and needs no bias in the class.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from iar.errors import UserError
from iar.export import card, comparing
from iar.export.comparing import Comparison
from iar.export.constant import constant
from iar.export.place import places
from iar.models import LoadedModel
from iar.revision import Configuration
from iar.vectors import VectorSet

_HOW = """```python
from peft import PeftModel

model = PeftModel.from_pretrained(model, "this folder")
```

Every position is steered, of the prompt and of the answer. Weights without a bias cannot take the adapter in."""


def write(loaded: LoadedModel, vectors: VectorSet, configuration: Configuration, out: Path) -> Comparison:
    """Write the adapter's folder, which appears only when PEFT has read it again and it answers as the hooks do.

    Raises:
        UserError: PEFT is missing, there is something at ``out``, a configuration that is not constant at every
            position, or a block that no bias can steer.
    """
    if find_spec("peft") is None:
        raise UserError("an adapter needs the peft package: pip install 'iar[export]'")
    if out.exists():
        raise UserError(f"{out} exists already and is not overwritten: give another folder or remove it")
    added = constant(configuration, vectors, "an adapter's bias", dtype=loaded.model.dtype)
    where = places(loaded, added)
    wanted = comparing.reference(loaded, vectors, configuration)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's, about merging, one-dimensional parts and a base model's config
        fresh = Path(scratch) / out.name
        _save(loaded, {where[block].name: vector / where[block].factor for block, vector in added.items()}, fresh)
        compared = _read_again(loaded, fresh, wanted)
        if not compared.holds:
            raise UserError(
                f"read again, the adapter's logits are off by {compared.error:.2g} where steering changes them by "
                f"{compared.effect:.2g}, so {out} is not written: use iar.revise"
            )
        what = f"A LoRA adapter of {loaded.id} that only adds a steering vector."
        (fresh / "README.md").write_text(card.text(what, _HOW, configuration, vectors, compared), encoding="utf-8")
        shutil.move(fresh, out)
    return compared


def _save(loaded: LoadedModel, biases: dict[str, torch.Tensor], folder: Path) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=1, lora_alpha=1, lora_bias=True, target_modules=list(biases), lora_dropout=0.0)
    model: Any = get_peft_model(loaded.model, config)
    try:
        for name, bias in biases.items():
            module: Any = loaded.model.get_submodule(name)
            for part in (module.lora_A.default.weight, module.lora_B.default.weight):
                part.data.zero_()
            module.lora_B.default.bias.data.copy_(bias)
        model.peft_config["default"].base_model_name_or_path = loaded.id
        model.save_pretrained(folder, save_embedding_layers=False)
    finally:
        _restore(loaded, model)


def _read_again(loaded: LoadedModel, folder: Path, wanted: comparing.Reference) -> Comparison:
    from peft import PeftModel

    model: Any = PeftModel.from_pretrained(loaded.model, folder)
    try:
        return comparing.compare(loaded, model, wanted)
    finally:
        _restore(loaded, model)


def _restore(loaded: LoadedModel, adapted: Any) -> None:
    """The loaded model as it was: PEFT works in place."""
    adapted.unload()
    if hasattr(loaded.model, "peft_config"):
        del loaded.model.peft_config
    loaded.model.requires_grad_(False)
