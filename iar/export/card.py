"""What every exported folder says of itself: that it is steered, by which vectors, how, and what was compared."""

from __future__ import annotations

from typing import Any

from huggingface_hub import ModelCardData

from iar.export.comparing import Comparison
from iar.revision import Configuration
from iar.vectors import VectorSet, digest

TAGS = ["activation-steering", "steering-vector"]


def steering(configuration: Configuration, vectors: VectorSet) -> dict[str, Any]:
    """The settings, the vectors by their digest and the model by its fingerprint; of JSON's types only."""
    header = vectors.header
    names = ("method", "layers", "strength", "scale", "positions", "seed")
    settings = {name: value for name, value in configuration.to_dict().items() if name in names}
    model = {key: header.get(key, "unknown") for key in ("model_id", "model_revision", "fingerprint")}
    return {"settings": settings, "vectors_sha256": digest(vectors), **model}


def text(what: str, how: str, configuration: Configuration, vectors: VectorSet, compared: Comparison) -> str:
    """A README.md.

    Args:
        what: What this folder is, one sentence.
        how: How it is used, Markdown.
    """
    said = steering(configuration, vectors)
    hub = said["model_revision"] != "local"
    data = ModelCardData(base_model=said["model_id"] if hub else None, tags=TAGS, library_name="transformers")
    rows = [*said["settings"].items(), *((key, value) for key, value in said.items() if key != "settings")]
    table = "\n".join(f"| {key} | `{value}` |" for key, value in rows)
    return f"""---
{data.to_yaml()}
---

# Steered: {configuration.name}

{what} Compared with hooks on the model itself: {compared}.

| | |
|---|---|
{table}

{how}
"""
