"""``revise``: revision vectors on a model of one's own, for as long as a ``with`` block lasts.

    with revise(model, "vectors.safetensors", layers=[14], strength=1.5):           # IAR at layer level
        model.generate(**inputs)
    with revise(model, vectors, heads=48, strength=15, scale="sigma"):              # ITI's 48 best heads
        model.generate(**inputs)
    with revise(model, vectors, layers=[[], 9, [9, 14]], strength=[0, 1.5, 2.5]):   # a batch of three rows
        model.generate(**inputs)

The formulas stand in `iar.revision.direction` (what is added) and `iar.revision.hooks` (where).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from iar.errors import UserError
from iar.models.checkpoint import LoadedModel
from iar.models.decoder import Decoder, decoder_of
from iar.revision.configuration import Configuration, Firing, ReleaseIf
from iar.revision.direction import directions
from iar.revision.hooks import steering
from iar.revision.methods import METHODS, Positions, Scale
from iar.revision.overflow import check as check_overflow
from iar.vectors.file import read
from iar.vectors.vector_set import VectorSet


@contextmanager
def revise(
    model: LoadedModel | PreTrainedModel,
    vectors: VectorSet | str | Path | Sequence[VectorSet | str | Path],
    *,
    layers: int | Sequence[int] | Sequence[int | Sequence[int]] = (),
    strength: float | Sequence[float] = 1.0,
    positions: Positions | Sequence[Positions] = "last",
    scale: Scale | Sequence[Scale] = "raw",
    heads: int | Sequence[int] = 0,
    method: str | Sequence[str] = "iar",
    seed: int | Sequence[int] = 0,
    gate_layer: int | Sequence[int] = -1,
    threshold: float | Sequence[float] = 0.5,
    gate: Firing | Sequence[Firing] = "hard",
    release: float | Sequence[float] = Configuration.release,
    release_threshold: float | Sequence[float] = Configuration.release_threshold,
    release_if: ReleaseIf | Sequence[ReleaseIf] = "harmless",
    prompt_length: int | None = None,
    compiled: bool = False,
) -> Iterator[None]:
    """Revise every forward pass and every ``generate`` of the model inside the block; afterwards it is as it was.

    One value holds for every row, whatever the batch size. A sequence gives one entry a row of the batch (its beams
    follow it), and everything else then holds for each of these rows: a sweep is a batch. ``layers=[9, 14]`` revises
    both layers in every row; one entry a row is a sequence of sequences, ``layers=[[9], [14], []]``.

    A batch is padded on the left, as ``generate`` wants it. The prompt is what the first call with a new KV cache
    holds: say ``prompt_length`` where that is not exactly the prompt (chunked prefill, assisted decoding), and open a
    new block for each turn where a cache goes on with a second one, or is reset. Without a cache, a call one token
    longer than the last is its next step, any other a new prompt.

    ``torch.compile`` does not see hooks that come after it, so code compiled before runs uncompiled in here, exactly.
    To run the revised model compiled, say ``compiled=True`` and compile inside the block; what was compiled before is
    then forgotten on entry, and what was compiled inside on leaving: both are compiled again when next called.

    Args:
        vectors: A vector file or its content. A file must have been made with this model if that is a `LoadedModel`.
        layers: Decoder blocks from 0. With ``heads`` the blocks to choose heads from, all if empty.
        strength: Factor on the vector.
        positions: ``last`` = last prompt token, then every generated token; ``generated``; ``prompt``; ``all``.
        scale: Unit of the strength: ``raw``, ``unit``, ``sigma`` or ``norm`` (see `iar.revision.direction`).
        heads: 0 for block outputs; K > 0 for the K attention heads of highest probe accuracy (ITI takes 48).
        method: ``iar``; ``random`` for the control, a random direction of the same length; ``none``; ``gated``,
            ``calibrated``, ``categorical``, ``adaptive``, ``nullspace``, ``ablation``, ``addition``
            (docs/beyond-iar.md).
        seed: Of the random direction.
        gate_layer, threshold, gate: Of a gate (`iar.revision.gate`): the block that it reads (-1: the first steered
            one), the probability from which it fires, ``hard`` or ``soft``.
        release, release_threshold, release_if: Of ``calibrated``: the strength with which the vector is taken off where
            the probability is below the second; wherever that is, or only where the model would refuse (``refused``).
        prompt_length: Tokens of the padded prompt.

    Raises:
        UserError: Unknown names, layers or heads that are not there, vectors of another model, sequences of different
            lengths, a vector beyond the range of the model's dtype; inside the block: a batch that is not a multiple of
            the rows.
    """
    decoder = model.decoder if isinstance(model, LoadedModel) else decoder_of(model)
    loaded = model if isinstance(model, LoadedModel) else None
    dtype: Any = loaded.model.dtype if loaded else model.dtype
    rows = _rows(
        vectors=vectors, layers=layers, strength=strength, positions=positions, scale=scale, heads=heads,
        method=method, seed=seed, gate_layer=gate_layer, threshold=threshold, gate=gate,
        release=release, release_threshold=release_threshold, release_if=release_if,
    )  # fmt: skip
    sources = [row.pop("vectors") for row in rows]
    files = dict.fromkeys(source for source in sources if not isinstance(source, VectorSet))
    contents = {path: read(path, loaded) for path in files}
    if prompt_length is not None and prompt_length < 1:
        raise UserError(
            f"prompt_length={prompt_length} must be at least 1: remove it, or count the padded prompt's tokens"
        )
    revisions, found = [], [configuration(**row) for row in rows]
    for one, source in zip(found, sources, strict=True):
        vector_set = source if isinstance(source, VectorSet) else contents[source]
        _check_size(decoder, vector_set)
        check_overflow(one, vector_set, dtype)
        revisions.append(directions(one, vector_set))
    if not any(revision.blocks or row["method"] == "none" for row, revision in zip(rows, revisions, strict=True)):
        raise UserError("nothing to revise: say layers=[14], or heads=48 for the 48 best heads")
    with ExitStack() as stack:
        if compiled:
            torch.compiler.reset()
            stack.callback(torch.compiler.reset)
        else:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(steering(decoder, revisions, [one.positions for one in found], prompt_length))
        yield


def _rows(**settings: Any) -> list[dict[str, Any]]:
    """One dict of single values a row; one row in all where no setting has an entry for each."""
    entries = {name: _entries(name, value) for name, value in settings.items()}
    counts = {name: len(values) for name, values in entries.items() if values is not None}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UserError(f"entries for different numbers of rows ({found}): one entry a row, or one value for all rows")
    number = next(iter(counts.values()), 1)
    return [
        {name: settings[name] if values is None else values[i] for name, values in entries.items()}
        for i in range(number)
    ]


def _entries(name: str, value: Any) -> list[Any] | None:
    """The value's entries for the rows; None for one value that holds for all rows."""
    value = value.tolist() if hasattr(value, "tolist") else value  # of torch or NumPy
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return None if name == "layers" and not any(map(_is_list, value)) else list(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def configuration(**row: Any) -> Configuration:
    """The configuration of one row, of single values named as in `revise`, with its defaults.

    Raises:
        UserError: As `revise`.
    """
    defaults: dict[str, Any] = {"strength": 1.0, "release": Configuration.release, "layers": (), "heads": 0}
    row = defaults | {"method": "iar"} | row
    strength, release = (_number(name, row[name]) for name in ("strength", "release"))
    layers = _layers(row["layers"])
    # A row without a place is an unsteered one; an unknown name is an error there too.
    method = "none" if not layers and not row["heads"] and row["method"] == "iar" else row["method"]
    if method in METHODS and METHODS[method].routed:
        raise UserError(f"method {method!r} routes whole prompts: use it in iar.sweep")
    read = {"layers": layers, "method": method, "strength": strength, "release": release}
    return Configuration(**(row | read))


def _number(name: str, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} must be a number: {error}") from error
    if not math.isfinite(found):
        raise UserError(f"{name}={found} is not finite")
    return found


def _layers(value: Any) -> tuple[int, ...]:
    try:
        return tuple(operator.index(layer) for layer in (value if isinstance(value, Iterable) else [value]))
    except TypeError as error:
        raise UserError(f"layers={value!r} must be block numbers, e.g. layers=[14]: {error}") from error


def _check_size(decoder: Decoder, vectors: VectorSet) -> None:
    if (vectors.n_layers, vectors.hidden_size) != (len(decoder), decoder.hidden_size):
        raise UserError(
            f"the vectors are for {vectors.n_layers} layers of size {vectors.hidden_size}, "
            f"the model has {len(decoder)} of size {decoder.hidden_size}: make them again with iar.extract"
        )
