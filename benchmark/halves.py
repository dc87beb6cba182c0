"""Validation and test halves of a benchmark that has none of its own: what is asked alike stays on one side.

Samples are kin if they share a cluster, an image file or one of ``Sample.kin`` (the words of the question, a contrast
pair); kinship is passed on, and whole groups of kin go to one half, by the CRC-32 of the group's name. So no question
on which something was chosen, nor its twin, is asked again in the test.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

from benchmark.sample import Sample

VALIDATION_SHARE = 0.3


def words(text: str) -> str:
    """A question without case, punctuation and line breaks: equal for texts that ask the same in the same words.

    >>> words("How do I  use this item?") == words("how do I use this item")
    True
    """
    return " ".join(re.findall(r"\w+", text.casefold())) or text.strip()


def groups(samples: Sequence[Sample]) -> list[str]:
    """The name of each sample's group of kin: the first of its members' ``kin``, else of their clusters, by alphabet.

    The same kin bear the same names in two benchmarks (VSCBench asks XSTest's prompts), so their groups go to the same
    half unless an image joins a group with another in one of them.
    """
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            parents[key] = key = parents[parents[key]]
        return key

    for sample in samples:
        first, *others = _keys(sample)
        for other in others:
            parents[root(other)] = root(first)
    found = [root(next(_keys(sample))) for sample in samples]
    names: dict[str, tuple[bool, str]] = {}
    for sample, group in zip(samples, found, strict=True):
        for name in [(False, kin) for kin in sample.kin] or [(True, sample.cluster)]:
            names[group] = min(names.get(group, name), name)
    return [names[group][1] for group in found]


def halves(samples: Sequence[Sample]) -> list[str]:
    """``validation`` or ``test`` for each sample; about 30 % of the groups are for validation."""
    return [
        "validation" if zlib.crc32(name.encode()) / 2**32 < VALIDATION_SHARE else "test" for name in groups(samples)
    ]


def _keys(sample: Sample) -> Iterator[str]:
    yield f"cluster:{sample.cluster}"
    yield from (f"kin:{kin}" for kin in sample.kin)
    yield from (f"image:{path}" for path in sample.images)
