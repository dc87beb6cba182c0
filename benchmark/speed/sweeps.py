"""What a sweep costs against the plain path, and against one ordinary pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch

from benchmark.sample import Sample
from benchmark.speed import asking, flops, model
from benchmark.speed.figure import Asked, Ratio, Result
from benchmark.speed.sizes import Size
from benchmark.speed.timing import interleave, peak, ratios, timed
from iar.revision.configuration import Configuration

POPE = (12, 24)  # words of a question
VSCBENCH = (20, 40)


@dataclass(frozen=True)
class Sweep:
    """A sweep to measure.

    Attributes:
        answer: Tokens of an answer.
        repeats: Of the figure.
        part: Steered configurations that the plain path runs in each repeat; None deals them all out over the repeats.
    """

    name: str
    samples: Sequence[Sample]
    configurations: Sequence[Configuration]
    answer: int
    target: float
    repeats: int = 3
    part: int | None = None


def pope18(asked: Asked) -> Result:
    return against_plain(asked, eighteen(asked.size, "pope18", "last", 1, 80), 0.2)


def pope18_end(asked: Asked) -> Result:
    sweep = eighteen(asked.size, "pope18-end", "last", 2, 80)
    return against_plain(asked, replace(sweep, part=1), 0.2)


def all18(asked: Asked) -> Result:
    return against_plain(asked, replace(eighteen(asked.size, "all18", "all", 1, 5), part=2))


def one_question(asked: Asked) -> Result:
    size = asked.size
    samples = model.samples(size, asking.asked_model(size)[2], size.images, 1, POPE)
    return against_plain(asked, Sweep("one-question", samples, model.configurations(size, "last"), 1, 12))


def vscbench64(asked: Asked) -> Result:
    size = asked.size
    samples = model.samples(size, asking.asked_model(size)[2], size.prompts, 1, VSCBENCH)
    sweep = Sweep("vscbench64", samples, model.configurations(size, "last"), size.answer, 6)
    return against_plain(asked, sweep)


def eighteen(size: Size, name: str, positions: str, answer: int, target: float) -> Sweep:
    samples = model.samples(size, asking.asked_model(size)[2], 1, size.questions, POPE)
    return Sweep(name, samples, model.configurations(size, positions), answer, target)  # type: ignore[arg-type]


def against_plain(asked: Asked, sweep: Sweep, of_one_pass: float | None = None) -> Result:
    """The plain path's configurations are dealt out over the repeats: all of them run once, each at another time.

    A repeat's time of the plain path is that of its own configurations, scaled to the number of all (they cost alike).
    """
    size, samples, answer = asked.size, sweep.samples, sweep.answer
    unsteered, steered = sweep.configurations[0], list(sweep.configurations[1:])
    repeats = min(asked.times(sweep.repeats), len(steered))
    parts = [steered[repeat::repeats] for repeat in range(repeats)]
    parts = [part[: sweep.part] for part in parts]
    batch, how = asking.best_batch(size, samples, steered[0], answer, asked.say)
    _, check = timed(lambda: asking.answers(asking.engine(size, "auto"), samples[:1], sweep.configurations[:2], answer))
    shared_engine = asking.engine(size, "auto")
    lanes: dict[str, list[float]] = {"plain": [], "one unsteered pass": [], "shared": []}
    plain: asking.Answers = {}
    shared: asking.Answers = {}
    for repeat, part in enumerate(parts):
        found, one = timed(lambda: asking.one_at_a_time(size, batch, samples, [unsteered], answer))
        shared, took = timed(lambda: asking.answers(shared_engine, samples, sweep.configurations, answer))
        more, rest = timed(partial(asking.one_at_a_time, size, batch, samples, part, answer))
        plain |= found | more
        whole = one + rest / len(part) * len(steered)
        for lane, value in zip(lanes, (whole, one, took), strict=True):
            lanes[lane].append(value)
        asked.say(f"repeat {repeat + 1}/{repeats}: plain {whole:.1f} s, one pass {one:.2f} s, shared {took:.2f} s")
    exact, checked = asking.same(plain, shared)
    found_ratios = [
        Ratio("plain / shared", ratios(lanes["plain"], lanes["shared"]), sweep.target),
        Ratio("shared / one unsteered pass", ratios(lanes["shared"], lanes["one unsteered pass"]), of_one_pass, "≤"),
    ]
    ran = 1 + sum(map(len, parts))
    notes = [
        how,
        f"{len(samples)} questions of {len({s.cluster for s in samples})} images, {answer} token(s) an answer",
        f"plain path: {ran} of {len(sweep.configurations)} configurations run, dealt out over the repeats",
        f"first call of the shared path, with the engine's check of the model: {check:.1f} s (not counted)",
    ]
    return Result(sweep.name, lanes, found_ratios, exact, checked, _limits(size, sweep, lanes), notes=notes)


def _limits(size: Size, sweep: Sweep, lanes: dict[str, list[float]]) -> list[str]:
    works = asking.works(size, sweep.samples)
    least = flops.shared(size, works, sweep.configurations, sweep.answer)
    whole = flops.unshared(size, works, sweep.configurations, sweep.answer)
    took, plain = median(lanes["shared"]), median(lanes["plain"])
    fastest = peak(getattr(torch, size.dtype), size.device)
    return [
        f"FLOPs: unshared {whole / 1e12:.3g} T, the least that is exact {least / 1e12:.3g} T, which is "
        f"{whole / least:.0f} × fewer; the measured ratio is {plain / took / (whole / least):.0%} of that",
        f"of the {fastest / 1e9:.0f} GFLOP/s of a matrix product here: plain {whole / plain / fastest:.0%}, "
        f"shared {least / took / fastest:.0%}",
    ]


def grid65(asked: Asked) -> Result:
    """The larger grid holds the smaller one: their answers must agree there, and some with the plain path's."""
    size = asked.size
    samples = model.samples(size, asking.asked_model(size)[2], 1, size.questions, POPE)
    small = model.configurations(size, "last")
    large = model.configurations(size, "last", [step / 4 for step in range(1, 17)])
    shared = asking.engine(size, "auto")
    lanes, found = interleave(
        {
            f"{len(small)} configurations": lambda: asking.answers(shared, samples, small, 1),
            f"{len(large)} configurations": lambda: asking.answers(shared, samples, large, 1),
        },
        asked.times(5),
        asked.say,
    )
    (few, few_answers), (many, many_answers) = ((lanes[name], found[name]) for name in lanes)
    batch, how = asking.best_batch(size, samples, small[1], 1, asked.say)
    new = [c for c in large if c not in small]
    plain = asking.one_at_a_time(size, batch, samples, [large[0], new[-1]], 1)
    agree, line = asking.same(plain, many_answers)
    exact, checked = asking.same(few_answers, many_answers)
    works = asking.works(size, samples)
    least = flops.shared(size, works, large, 1) / flops.shared(size, works, small, 1)
    return Result(
        "grid65",
        lanes,
        [Ratio(f"{len(large)} / {len(small)} configurations", ratios(many, few), 1.8, "≤")],
        exact and agree,
        f"both grids: {checked}; plain path, two configurations: {line}",
        [f"FLOPs: the least that is exact grows by {least:.2f} ×"],
        notes=[how],
    )
