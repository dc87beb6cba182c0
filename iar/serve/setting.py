"""Which steering a request asks for: the field ``iar``, in the words of `iar.revise`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from iar.errors import UserError, did_you_mean
from iar.models.checkpoint import LoadedModel
from iar.revision.configuration import Configuration
from iar.revision.context import configuration
from iar.revision.direction import Revision, directions
from iar.revision.overflow import check as check_overflow
from iar.serve.refused import Refused
from iar.vectors.vector_set import VectorSet

_NUMBERS = ("strength", "threshold", "release", "release_threshold")
_WHOLE = ("heads", "seed", "gate_layer")
_WORDS = ("positions", "scale", "method", "gate", "release_if")
FIELDS = ("layer", "layers", *_NUMBERS, *_WHOLE, *_WORDS)
_MOST = 2**63 - 1


def read(value: Any, place: str) -> Configuration:
    """The configuration that one JSON object asks for; ``{}`` is the unsteered model.

    Args:
        place: Where it stands, e.g. ``iar[2]``.

    Raises:
        Refused: It is not an object, has an unknown field or a value that `iar.revise` does not take.
    """
    if not isinstance(value, dict):
        raise Refused(f'{place} must be an object such as {{"layer": 14, "strength": 1.5}}', param="iar")
    row: dict[str, Any] = {}
    for name, given in value.items():
        if name not in FIELDS:
            raise Refused(f"{place}: unknown field {name!r}: {did_you_mean(name, FIELDS)}", param="iar")
        row[name] = _checked(f"{place}.{name}", name, given)
    if "layer" in row and "layers" in row:
        raise Refused(f"{place} has layer and layers: leave one out", param="iar")
    if "layer" in row:
        row["layers"] = row.pop("layer")
    if row and row.get("method", "iar") == "iar" and not row.get("layers") and not row.get("heads"):
        raise Refused(f'{place} names no place: add "layer": 14, or "heads": 48 for the 48 best heads', param="iar")
    try:
        found = configuration(**row)
    except UserError as error:
        raise Refused(f"{place}: {error}", param="iar") from error
    if found.prompting:
        raise Refused(
            f"{place}: method {found.method!r} says something around the question: say it in messages", param="iar"
        )
    return found if found.steered else Configuration()


def _checked(place: str, name: str, value: Any) -> Any:
    """The value of a field, if its type is right."""
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST
    if name in ("layer", "layers"):
        listed = [value] if whole else value
        if isinstance(listed, list) and listed and all(type(layer) is int for layer in listed):
            return tuple(dict.fromkeys(listed))
        raise Refused(f"{place} must be a block number from 0, or a list of them", param="iar")
    if name in _NUMBERS and not whole and not isinstance(value, float):
        raise Refused(f"{place} must be a number", param="iar")
    if name in _WHOLE and not whole:
        raise Refused(f"{place} must be a whole number", param="iar")
    if name in _WORDS and not isinstance(value, str):
        raise Refused(f"{place} must be a string", param="iar")
    return value


def shown(found: Configuration) -> dict[str, Any]:
    """What a configuration adds, as an answer tells it; asked again it is the same setting."""
    if not found.steered:
        return {}
    told = {name: getattr(found, name) for name in ("method", "strength", "positions", "scale", "heads", "seed")}
    told["layers"] = list(found.layers)
    if found.gated:
        told |= {name: getattr(found, name) for name in ("gate_layer", "threshold", "gate")}
    if found.traits.releases:
        told |= {name: getattr(found, name) for name in ("release", "release_threshold", "release_if")}
    return {name: value for name, value in told.items() if value not in (0, []) or name == "strength"}


class Revisions:
    """What configurations add to one model, from one file; those asked last are kept."""

    def __init__(self, loaded: LoadedModel, vectors: VectorSet) -> None:
        self.loaded, self.vectors = loaded, vectors
        self.of = lru_cache(maxsize=128)(self._of)

    def _of(self, found: Configuration) -> Revision:
        check_overflow(found, self.vectors, self.loaded.model.dtype)
        return directions(found, self.vectors)

    def checked(self, found: Configuration, place: str) -> Revision:
        """Raises:
        Refused: The file lacks what it needs, or a layer that the model has not.
        """
        try:
            return self.of(found)
        except UserError as error:
            raise Refused(f"{place}: {error}", param="iar") from error


def gate_report(found: Configuration, revision: Revision, read: Any, categories: tuple[str, ...]) -> Mapping[str, Any]:
    """What the gate of a configuration read and decided.

    Args:
        read: (k,) probabilities.
        categories: Of the vector file.

    Returns:
        ``probability`` of "unsafe" (of the likeliest category) and whether it ``fired``; of ``calibrated`` whether it
        ``released``, of ``categorical`` the ``category``.
    """
    assert revision.gate is not None
    weights = revision.gate.decide(read[None])[0].tolist()
    best = int(read.argmax()) if found.traits.categorical else 0
    told: dict[str, Any] = {
        "layer": revision.gate.layer,
        "probability": float(read[best]),
        "threshold": found.threshold,
        "fired": weights[best] > 0,
    }
    if found.traits.releases:
        told["released"] = weights[1] > 0
    if found.traits.categorical:
        told["category"] = categories[best]
    return told
