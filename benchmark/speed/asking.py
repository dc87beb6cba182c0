"""The paths that are compared, both through `iar.generation.Engine`: what a user of a sweep gets, and the plain path.

Plain: one configuration at a time, a hook on its blocks, ``generate``, in batches of the size that is fastest here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.sample import Sample
from benchmark.speed import model
from benchmark.speed.figure import Say
from benchmark.speed.flops import Work
from benchmark.speed.sizes import Size
from benchmark.speed.timing import timed
from iar.generation.engine import Engine
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.configuration import Configuration

Answers = dict[tuple[str, str], str]  # (sample id, configuration name) -> answer

_folders: list[TemporaryDirectory[str]] = []  # removed when the process ends


@cache
def asked_model(size: Size) -> tuple[LoadedModel, Mapping[str, Any], Path]:
    """The model of this size, its vectors, and a folder for its images; made once a process."""
    loaded = model.build(size)
    _folders.append(TemporaryDirectory(prefix="iar-speed-"))
    return loaded, {model.SOURCE: model.vectors(loaded)}, Path(_folders[-1].name)


def engine(size: Size, sharing: str, batch_size: int | None = None) -> Engine:
    """The engine as it comes (``auto``), or made to share nothing (``plain``)."""
    loaded, vectors, _ = asked_model(size)
    options: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}
    if "sharing" in inspect.signature(Engine.__init__).parameters:
        options["sharing"] = sharing
    return Engine(loaded, vectors, **options)


def answers(asked: Engine, samples: Sequence[Sample], configurations: Sequence[Configuration], answer: int) -> Answers:
    """The answers of one call of the engine.

    Raises:
        RuntimeError: A question has no answer: there is nothing to measure.
    """
    found: Answers = {}
    for generation in asked.run(samples, configurations, answer):
        if generation.error or generation.tokens != answer:
            what = generation.error or f"{generation.tokens} tokens instead of {answer}"
            raise RuntimeError(f"{generation.sample.id} under {generation.configuration.name}: {what}")
        found[generation.sample.id, generation.configuration.name] = generation.answer
    return found


def one_at_a_time(
    size: Size, batch_size: int, samples: Sequence[Sample], configurations: Sequence[Configuration], answer: int
) -> Answers:
    """The plain path."""
    plain = engine(size, "plain", batch_size)
    found: Answers = {}
    for configuration in configurations:
        found |= answers(plain, samples, [configuration], answer)
    return found


_best: dict[tuple[Any, ...], int] = {}


def best_batch(
    size: Size, samples: Sequence[Sample], configuration: Configuration, answer: int, say: Say
) -> tuple[int, str]:
    """The plain path's fastest batch size for these questions, and one line on how it was found.

    Sizes 1, 2, 4, … up to the number of questions, and that number; each on about four questions or one batch.
    """
    # A word or two of an answer: what counts is reading the prompt.
    key = (size, len(samples), answer if answer > 2 else 1, len(samples[0].prompt.split()))
    sizes = sorted({*(2**k for k in range(8) if 2**k < len(samples)), len(samples)})
    if key in _best:
        return _best[key], f"plain path: batch of {_best[key]}, as above"
    seconds: dict[int, float] = {}
    one_at_a_time(size, 1, samples[:1], [configuration], 1)
    for batch_size in sizes:
        few = samples[: min(len(samples), batch_size * -(-4 // batch_size))]
        _, took = timed(partial(one_at_a_time, size, batch_size, few, [configuration], answer))
        seconds[batch_size] = took / len(few)
        say(f"plain path, batch of {batch_size}: {took / len(few):.3f} s a question")
        if seconds[batch_size] > 1.3 * min(seconds.values()):
            break
    _best[key] = min(seconds, key=lambda b: seconds[b])
    tried = ", ".join(f"{b}: {s:.3f}" for b, s in seconds.items())
    return _best[key], f"plain path: batch of {_best[key]} (seconds a question by batch size: {tried})"


def works(size: Size, samples: Sequence[Sample]) -> list[Work]:
    """The questions' lengths, by image; without images each is on its own."""
    loaded, _, _ = asked_model(size)
    by_image: dict[str, list[int]] = {}
    for sample in samples:
        tokens = chat.text_length(loaded, chat.render(loaded, sample.prompt, len(sample.images)))
        by_image.setdefault(str(sample.images) if sample.images else sample.id, []).append(tokens)
    before = 1 + size.image_tokens if samples[0].images else 0  # "USER:" and the image
    return [Work(before, tuple(n - 2 if before else n for n in lengths)) for lengths in by_image.values()]


def same(left: Answers, right: Answers) -> tuple[bool, str]:
    """Whether both gave the same answers to what both were asked, and the line that says so."""
    common = left.keys() & right.keys()
    equal = sum(left[place] == right[place] for place in common)
    baseline = {sample: answer for (sample, name), answer in left.items() if name == "none"}
    steered = [place for place in common if place[1] != "none"]
    moved = sum(left[place] != baseline.get(place[0]) for place in steered)
    line = (
        f"{equal} of {len(common)} answers the same on both paths ({len({left[place] for place in common})} different "
        f"ones; {moved} of {len(steered)} steered ones are not the unsteered one)"
    )
    return bool(common) and equal == len(common) and moved > 0, line
