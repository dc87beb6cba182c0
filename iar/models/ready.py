"""A model as the functions of the package take one: loaded, or where it can be loaded from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iar.errors import UserError
from iar.models.checkpoint import LoadedModel, load


def ready(model: LoadedModel | str | Path) -> LoadedModel:
    """The model itself, or the one in a folder or of a hub id, loaded as `iar.load` does by default.

    Raises:
        UserError: As `iar.load`; a bare transformers model, whose processor is not known.
    """
    if isinstance(model, LoadedModel):
        return model
    if isinstance(model, (str, Path)):
        return load(model)
    given: Any = type(model).__name__
    raise UserError(f"a {given} has no processor to write prompts with: give iar.load(DIR), or DIR itself")
