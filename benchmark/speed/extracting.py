"""What extracting vectors costs beside a bare forward pass, and beside other libraries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmark.speed import asking, model, peers
from benchmark.speed.figure import Asked, Ratio, Result, Say
from benchmark.speed.timing import interleave, ratios, timed
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.pairs.example import Example
from iar.vectors.estimation import collect, estimate, from_statistics

PROMPT, RESPONSE = 24, 16  # words
TOLERANCE = 1e-4  # of the longest vector


def extract(asked: Asked) -> Result:
    """Extraction from pairs with an image each: `iar.vectors.collect`, then `from_statistics`, as ``iar.extract`` does.

    After each of its batches the bare pass runs on the same one, given its inputs ready made: A B A B, batch by batch.
    """
    size = asked.size
    loaded, _, folder = asking.asked_model(size)
    examples = model.examples(size, folder, size.pairs, PROMPT, RESPONSE, images=True)
    lanes: dict[str, list[float]] = {"bare forward pass": [], "extraction": []}
    batches: list[float] = []
    for repeat in range(asked.times(1)):
        bare, ours, vectors = _batch_by_batch(loaded, examples, size.batch, asked.say)
        batches += ratios(ours, bare)
        lanes["bare forward pass"].append(sum(bare))
        lanes["extraction"].append(sum(ours))
        asked.say(f"repeat {repeat + 1}: bare {sum(bare):.1f} s, extraction {sum(ours):.1f} s")
    few = examples[: size.batch]
    exact, checked = _same(
        estimate(loaded, few, heads=False, batch_size=size.batch).vectors, _by_hand(loaded, few, "mean")
    )
    whole = ratios(lanes["extraction"], lanes["bare forward pass"])
    return Result(
        "extract",
        lanes,
        [
            Ratio("extraction / bare forward pass", whole, 1.10, "≤"),
            Ratio("batch by batch (the last with the fit)", tuple(batches), None, "≤"),
        ],
        exact and bool(vectors.isfinite().all()),
        f"vectors of {len(few)} examples {checked}",
        ["the limit is the bare forward pass: 1.00 ×; extraction also reads the images and fits the probes"],
        notes=[f"{size.pairs} pairs with an image each, batch of {size.batch}, all {size.layers} layers"],
    )


def _batch_by_batch(
    loaded: LoadedModel, examples: Sequence[Example], batch: int, say: Say
) -> tuple[list[float], list[float], Tensor]:
    """Seconds of the bare pass and of extraction in each batch, and the vectors; the last batch's holds the fit."""
    bare: list[float] = []
    ours: list[float] = []
    chunks = [examples[start : start + batch] for start in range(0, len(examples), batch)]
    ready = _features(loaded, chunks[0])[0]
    start = time.perf_counter()

    def next_batch(done: int, total: int) -> None:
        nonlocal ready, start
        ours.append(time.perf_counter() - start)
        bare.append(timed(lambda: _forward(loaded, ready))[1])
        say(f"batch {len(ours)}/{len(chunks)}: bare {bare[-1]:.2f} s, extraction {ours[-1]:.2f} s")
        if len(ours) < len(chunks):
            ready = _features(loaded, chunks[len(ours)])[0]
        start = time.perf_counter()

    statistics = collect(loaded, examples, heads=False, batch_size=batch, on_progress=next_batch)["mean"]
    vectors = from_statistics(statistics, n_layers=len(loaded.decoder))["mms"].vectors
    ours[-1] += time.perf_counter() - start
    return bare, ours, vectors


def extract_peers(asked: Asked) -> Result:
    """Text pairs, which is what most of them read; the vector of the last token, for all of them."""
    size = asked.size
    loaded, _, folder = asking.asked_model(size)
    examples = model.examples(size, folder, size.pairs, PROMPT, RESPONSE, images=False)
    lanes: dict[str, Callable[[], Any]] = {
        "bare forward pass": _bare(loaded, examples, size.batch),
        "iar, layers": _ours(loaded, examples, size.batch, tokens="last"),
        "iar, layers and heads": _ours(loaded, examples, size.batch, tokens="last", heads=True),
    }
    usable, refused = peers.extractors(loaded, examples, size.batch)
    expected = _by_hand(loaded, examples, "last")
    found, told = {}, dict(refused)
    for name, lane in usable.items():
        try:
            found[name] = lane()
            lanes[name] = lane
        except Exception as error:  # whatever another library raises on this model: it is shown, not hidden
            told[name] = peers.failure(error)
    seconds, last = interleave(lanes, asked.times(2), asked.say)
    exact, checked = _same(last["iar, layers"].vectors, expected)
    ours = seconds["iar, layers"]
    made = [Ratio("iar / bare forward pass", ratios(ours, seconds["bare forward pass"]), None, "≤")]
    heads = ratios(seconds["iar, layers and heads"], seconds["bare forward pass"])
    made.append(Ratio("iar with heads / bare forward pass", heads, None, "≤"))
    for name in found:
        made.append(Ratio(f"iar / {name}", ratios(ours, seconds[name]), 1.0, "≤"))
        told[name] = _told(found[name], expected)
    reads = "text alone: " + ", ".join(sorted(peers.TEXT_ONLY))
    return Result(
        "extract-peers",
        seconds,
        made,
        exact,
        f"vectors of {len(examples)} examples {checked}",
        peers=told,
        notes=[f"{size.pairs} text pairs, batch of {size.batch}; {reads}"],
    )


def _told(found: Tensor | None, expected: Tensor) -> str:
    if found is None:
        return "an estimator of its own, on the same activations"
    _, checked = _same(found, expected)
    return f"its vectors {checked}"


def _features(loaded: LoadedModel, examples: Sequence[Example]) -> tuple[Any, list[int]]:
    opened = [[chat.open_image(e.image)] if e.image else [] for e in examples]
    responses = [e.response for e in examples]
    return chat.encode(loaded, [e.prompt for e in examples], opened, responses, side="right")


def _bare(loaded: LoadedModel, examples: Sequence[Example], batch: int) -> Callable[[], Any]:
    ready = [_features(loaded, examples[i : i + batch])[0] for i in range(0, len(examples), batch)]

    def run() -> None:
        for features in ready:
            _forward(loaded, features)

    return run


def _forward(loaded: LoadedModel, features: Any) -> None:
    with torch.no_grad():
        loaded.model(**features, use_cache=False, logits_to_keep=1)


def _ours(
    loaded: LoadedModel, examples: Sequence[Example], batch: int, tokens: str = "mean", heads: bool = False
) -> Callable[[], Any]:
    return lambda: estimate(loaded, examples, tokens=tokens, heads=heads, batch_size=batch)


def _by_hand(loaded: LoadedModel, examples: Sequence[Example], tokens: str) -> Tensor:
    """(layers, hidden): the difference of means, one example at a time, by hooks of its own."""
    totals = {side: torch.zeros(len(loaded.decoder), loaded.decoder.hidden_size).double() for side in (True, False)}
    for example in examples:
        features, (start,) = _features(loaded, [example])
        whole = model.states(loaded, dict(features)).double().cpu()
        totals[example.safe] += whole[:, -1] if tokens == "last" else whole[:, start:].mean(1)
    number = sum(example.safe for example in examples)
    return totals[True] / number - totals[False] / (len(examples) - number)


def _same(found: Tensor, expected: Tensor) -> tuple[bool, str]:
    difference = float((found.double() - expected).norm(dim=-1).max() / expected.norm(dim=-1).max())
    return difference < TOLERANCE, f"as by hand up to {difference:.0e} of the longest"
