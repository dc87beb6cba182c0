"""How a model is put into memory: precision, devices, attention implementation, 4-bit weights."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from transformers import BitsAndBytesConfig
from transformers.utils.import_utils import is_flash_attn_2_available

from iar.errors import UserError, did_you_mean

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
ATTENTIONS = ("eager", "sdpa", "flash_attention_2", "flex_attention")
QUANTIZATIONS = ("4bit",)


def placement(
    dtype: str, device: str, device_map: str | dict[str, Any] | None, attention: str | None, quantization: str | None
) -> dict[str, Any]:
    """The keyword arguments of ``from_pretrained``; they hold a device map only if the loader must place the weights.

    4-bit is what LLaVA's own loader does: NF4 with double quantisation, computing in ``dtype``.

    Raises:
        UserError: An unknown name, or a package that the choice needs is not installed.
    """
    if dtype not in DTYPES:
        raise UserError(f"unknown dtype {dtype!r}: {did_you_mean(dtype, DTYPES)}")
    options: dict[str, Any] = {"dtype": DTYPES[dtype]}
    if attention is not None:
        if attention not in ATTENTIONS:
            raise UserError(f"unknown attention {attention!r}: {did_you_mean(attention, ATTENTIONS)}")
        if attention == "flash_attention_2" and not is_flash_attn_2_available():
            raise UserError("attention=flash_attention_2 needs a GPU and the flash-attn package: try attention=sdpa")
        options["attn_implementation"] = attention
    if quantization is not None:
        if quantization not in QUANTIZATIONS:
            raise UserError(f"unknown quantization {quantization!r}: {did_you_mean(quantization, QUANTIZATIONS)}")
        _need("bitsandbytes", f"quantization={quantization}", "pip install 'iar[4bit]'")
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=DTYPES[dtype],
        )
        device_map = device_map or {"": device}  # 4-bit weights are made on their device and do not move
    if device_map is not None:
        _need("accelerate", f"device_map={device_map}", "pip install accelerate")
        options["device_map"] = device_map
    return options


def _need(package: str, choice: str, way_out: str) -> None:
    if find_spec(package) is None:
        raise UserError(f"{choice} needs the {package} package: {way_out}")
