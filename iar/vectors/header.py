"""The vector file's header: everything needed to make the vectors again, or to refuse them. Strings only."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import torch

from iar.models.checkpoint import LoadedModel
from iar.pairs.example import Example, digest

FORMAT_VERSION = "2"
IMPORTED = "source_format"  # of vectors that another library made; the key says how they were written
# Not part of what the vectors are: two files that differ only here steer alike.
VOLATILE = (
    "hub",  # where it was read from
    *("created", "torch_version", "transformers_version", "iar_version"),
    *("gate_words_auroc", "gate_contrast", "gate_contrast_auroc", "gate_contrast_words_auroc"),
)


def header(
    loaded: LoadedModel,
    examples: Sequence[Example],
    *,
    pairs: str = "multi_response",
    strategy: str = "multi_response",
    estimator: str = "mms",
    tokens: str = "mean",
    seed: int = 0,
) -> dict[str, str]:
    """The header of vectors of these examples.

    ``created`` is the UTC time, or SOURCE_DATE_EPOCH where that is set: then the same command writes the same bytes.

    Args:
        pairs: Name of the set of pairs, e.g. that of a file in conf/pairs.
        strategy: How its sides contrast: ``multi_response``, ``multi_instruction``, ``multi_modality``, ``behaviour``.
        seed: Seed of the pairs and of the ``random`` estimator.
    """
    return _of_model(loaded) | {
        "method": estimator,
        "tokens": tokens,
        "pairs": pairs,
        "strategy": strategy,
        "n_pairs": str(len({example.pair for example in examples})),
        "n_safe": str(sum(example.safe for example in examples)),
        "n_unsafe": str(sum(not example.safe for example in examples)),
        "pairs_digest": digest(examples),
        "seed": str(seed),
    }


def imported(loaded: LoadedModel, *, source: str, sha256: str, kind: str) -> dict[str, str]:
    """The header of vectors that another library made, for the model that they are said to be of.

    Args:
        source: Name of the file.
        sha256: Of its bytes.
        kind: How it is written, e.g. ``gguf``.
    """
    unknown = dict.fromkeys(("tokens", "strategy", "n_pairs", "pairs_digest"), "unknown")
    said = {"method": "imported", "pairs": source.partition(".")[0], IMPORTED: kind}
    return _of_model(loaded) | unknown | said | {"source": source, "source_sha256": sha256}


def _of_model(loaded: LoadedModel) -> dict[str, str]:
    """What the headers of all vectors of a model have in common."""
    created = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    config = loaded.model.config
    decoder = loaded.decoder
    return {
        "format_version": FORMAT_VERSION,
        "model_id": loaded.id,
        "model_revision": loaded.revision,
        "fingerprint": loaded.fingerprint,
        "architecture": (config.architectures or [type(loaded.model).__name__])[0],
        "config_digest": loaded.config_digest,
        "hidden_size": str(decoder.hidden_size),
        "n_layers": str(len(decoder)),
        "heads": str(decoder.heads),
        "head_size": str(decoder.head_size),
        "dtype": loaded.dtype,
        "torch_version": str(torch.__version__),
        "transformers_version": version("transformers"),
        "iar_version": _iar_version(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
    }


def _iar_version() -> str:
    try:
        return version("iar")
    except PackageNotFoundError:
        return "unknown"
