"""``iar.generate``: prompts of one's own under many settings at once, each prompt's common part computed once."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from benchmark.sample import Sample
from iar.errors import UserError, did_you_mean
from iar.generation.engine import Engine
from iar.models.checkpoint import LoadedModel
from iar.models.ready import ready
from iar.prompting.composer import Composer
from iar.revision.configuration import STANDARD, Configuration
from iar.terminal.console import console
from iar.vectors.file import read
from iar.vectors.vector_set import VectorSet

Prompt: TypeAlias = "str | tuple[str, str | Path | Sequence[str | Path]] | Sample"
Setting: TypeAlias = "Mapping[str, Any] | Configuration | None"


def generate(
    model: LoadedModel | str | Path,
    prompts: Prompt | Sequence[Prompt],
    vectors: VectorSet | str | Path | None = None,
    settings: Setting | Sequence[Setting] = None,
    *,
    max_new_tokens: int = 128,
    batch_size: int = 128,
    sharing: str = "auto",
) -> pd.DataFrame:
    """The model's greedy answer to every prompt under every setting.

    What settings have in common (the picture, the prompt, all blocks below the first steered one) is computed once, so
    ten strengths cost little more than one. In float32 each answer is exactly the one that the prompt gets alone.

    Args:
        model: From `iar.load`, or a folder or hub id that it takes.
        prompts: One or several: a text, a text with its image or images (``("What is this?", "a.png")``), or a sample
            of a benchmark. The model's own chat template is put around it.
        vectors: What steers: from `iar.extract`, or a vector file.
        settings: One or several: None is the unsteered model; a dict such as ``{"layer": 14, "strength": 1.5}`` has
            fields of `iar.revision.Configuration` (``layer`` may be a list: both at once; strength 1 unless it is
            given).
        max_new_tokens: Most tokens of an answer.
        sharing: ``plain`` shares nothing.

    Returns:
        Answers: a row a prompt (the index is its text), a column a setting ("none", "iar-L14-x1.5"). An answer that
        could not be given (logits that are not finite) is None, and the reason is said.

    Raises:
        UserError: An unknown setting, vectors missing or of another model, an image that cannot be read.
    """
    loaded = ready(model)
    asked = [_sample(index, prompt) for index, prompt in enumerate(_listed(prompts))]
    found = read(vectors, loaded) if isinstance(vectors, (str, Path)) else vectors
    wanted = [settings] if settings is None or isinstance(settings, (Mapping, Configuration)) else settings
    chosen = list(dict.fromkeys(_configuration(setting, found) for setting in wanted))
    steered = {c.source: found for c in chosen if c.steered and found is not None}
    engine = Engine(loaded, steered, batch_size, compose=Composer(), sharing=sharing)
    for configuration in chosen:
        engine.check(configuration)
    columns = {c.name: number for number, c in enumerate(chosen)}
    answers: list[list[str | None]] = [[None] * len(columns) for _ in asked]
    for given in engine.run(asked, chosen, max_new_tokens):
        if given.error and not given.key:
            raise UserError(f"prompt {given.sample.id} ({given.sample.prompt[:40]!r}): {given.error}")
        if given.error:
            console.print(f"{given.configuration.name}, prompt {given.sample.id}: no answer: {given.error}")
        else:
            answers[int(given.sample.id)][columns[given.configuration.name]] = given.answer
    index = pd.Index([sample.prompt for sample in asked], name="prompt")
    return pd.DataFrame(answers, index=index, columns=list(columns), dtype=object)


def _listed(prompts: Any) -> list[Any]:
    """Several prompts, or the one: a tuple that begins with a text is one with its images."""
    one = isinstance(prompts, (str, Sample)) or (isinstance(prompts, tuple) and isinstance(prompts[0], str))
    return [prompts] if one else list(prompts)


def _sample(index: int, prompt: Any) -> Sample:
    if isinstance(prompt, Sample):
        text, images = prompt.prompt, tuple(map(Path, prompt.images))
    elif isinstance(prompt, str):
        text, images = prompt, ()
    else:
        text, shown = prompt
        images = tuple(map(Path, [shown] if isinstance(shown, (str, Path)) else shown))
    return Sample(str(index), "prompts", "", text, images, "", cluster=str(index))


def _configuration(setting: Setting, vectors: VectorSet | None) -> Configuration:
    if setting is None or isinstance(setting, Configuration):
        return setting or Configuration()
    values = dict(setting)
    known = [field.name for field in fields(Configuration)]
    if unknown := [name for name in values if name not in ("layer", *known)]:
        raise UserError(f"unknown setting {unknown[0]!r}: {did_you_mean(unknown[0], ['layer', *known])}")
    layers = values.pop("layer", values.pop("layers", ()))
    try:
        values["layers"] = tuple(map(operator.index, layers if isinstance(layers, Iterable) else [layers]))
        values["strength"] = float(values.get("strength", 1.0))
    except (TypeError, ValueError) as error:
        raise UserError(f"settings {dict(setting)}: {error}; such as {{'layer': 14, 'strength': 1.5}}") from error
    values.setdefault("method", "iar" if values["layers"] or values.get("heads") else "none")
    if "prompt" in str(values["method"]).split("+"):
        values.setdefault("reminder", STANDARD)
    if vectors is not None:  # the names of what they were made from are part of a setting's name
        made = {"pairs": "pairs", "estimator": "method", "tokens": "tokens"}
        values = {name: vectors.header[key] for name, key in made.items() if key in vectors.header} | values
    return Configuration(**values)
