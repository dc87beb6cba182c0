"""Put weights read from an authors' own layout into a transformers model: every misfit is an error that names it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedConfig
from transformers.utils.import_utils import is_protobuf_available, is_sentencepiece_available

from iar.errors import UserError
from iar.models import whole

# Fields of a language model's config that authors' own configs share with transformers'.
TEXT_FIELDS = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps", "attention_bias", "mlp_bias"),
    *("tie_word_embeddings", "head_dim", "rope_theta", "rope_scaling", "rope_parameters"),
    *("bos_token_id", "eos_token_id"),
)


def build(
    model_class: Any,
    config: PreTrainedConfig,
    weights: dict[str, Tensor],
    folder: Path,
    options: Mapping[str, Any],
    name: str,
) -> Any:
    """A model of ``model_class`` with ``weights``, which carry the names that it reads.

    Args:
        options: For ``from_pretrained``, such as ``dtype`` and ``device_map``.
        name: Of the model class, for the errors.

    Raises:
        UserError: A weight is missing, left over, or of another shape than the config says.
    """
    whole.refuse_integers(str(folder), (key for key, value in weights.items() if not value.is_floating_point()))
    load = partial(model_class.from_pretrained, None, config=config, state_dict=weights)
    return whole.load_whole(load, str(folder), all_of=name, **options)


def need_sentencepiece(file: Path) -> None:
    """Raises UserError when the packages that read a ``tokenizer.model`` are not installed."""
    if not (is_sentencepiece_available() and is_protobuf_available()):
        raise UserError(f"reading {file} needs two packages: pip install sentencepiece protobuf")
