"""VSCBench's queries as examples without responses, by what an analysis compares: modes, or categories of harm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from benchmark.sample import Sample
from iar.pairs.example import Example
from iar.vectors.statistics import pair_key

MODES = ("txt", "search", "typography", "concat", "figstep")
CONTROLS = {"reworded": ("search", "typography", "concat"), "figstep_words": ("figstep",)}


def by_mode(samples: Sequence[Sample]) -> dict[str, list[Example]]:
    """The text half by mode, paired by row.

    Two controls are added, for the image modes change the wording too: ``reworded`` asks the text of ``search``,
    ``typography`` and ``concat`` ("... the content in the image") without an image, ``figstep_words`` FigStep's.
    """
    text = [sample for sample in samples if sample.meta.get("half") == "text"]
    groups = {mode: [_example(s, mode) for s in text if s.category == mode] for mode in MODES}
    for control, modes in CONTROLS.items():
        asked = {example.pair: example for mode in modes for example in groups[mode]}
        groups[control] = [replace(example, image=None, category=control) for example in asked.values()]
    return {mode: examples for mode, examples in groups.items() if examples}


def by_category(samples: Sequence[Sample]) -> dict[str, list[Example]]:
    """The image half by category of harm; the images of one prompt share their pair."""
    groups: dict[str, list[Example]] = {}
    for sample in samples:
        if sample.meta.get("half") == "image":
            groups.setdefault(sample.category, []).append(_example(sample, sample.category))
    return groups


def thin(samples: Sequence[Sample], rows: int | None) -> list[Sample]:
    """About ``rows`` whole rows of each half, as many of each kind (safe and unsafe rows, or category)."""
    if rows is None:
        return list(samples)
    found: dict[str, set[tuple[str, str]]] = {}
    for sample in samples:
        found.setdefault(_row(sample), set()).add((sample.meta["half"], _kind(sample)))
    kinds: dict[tuple[str, str], list[str]] = {}
    for row in sorted(found, key=pair_key):  # has nothing to do with their content
        kinds.setdefault(min(found[row]), []).append(row)
    halves = [half for half, _ in kinds]
    kept = {row for (half, _), names in kinds.items() for row in names[: math.ceil(rows / halves.count(half))]}
    return [sample for sample in samples if _row(sample) in kept]


def _example(sample: Sample, category: str) -> Example:
    image = sample.images[0] if sample.images else None
    return Example(_row(sample), sample.reference == "safe", sample.prompt, image, None, category)


def _row(sample: Sample) -> str:
    place = (sample.category,) if sample.meta["half"] == "image" else ()
    return "/".join((sample.meta["half"], *place, sample.meta["row"]))


def _kind(sample: Sample) -> str:
    return sample.category if sample.meta["half"] == "image" else sample.reference
