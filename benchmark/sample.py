"""One question, one answer's label, one counted outcome: the words every benchmark shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One question put to a model.

    Attributes:
        id: Unique within its benchmark, stable over versions of the files, e.g. ``adversarial/12``.
        benchmark: Name of the benchmark module, e.g. ``pope``.
        category: The group its score is reported in, e.g. ``adversarial`` or ``drugs``.
        prompt: The exact user text, the protocol's suffix included, without any chat template.
        images: Image files in the order the prompt shows them (before the text); empty for text only.
        reference: What counts: ``safe``/``unsafe`` (VSCBench), ``yes``/``no`` (POPE), a letter (ScienceQA).
        cluster: What the sample shares with others (the image, else the prompt); intervals are clustered on it.
        kin: What more it shares with others, in words of its own (the question's words, a contrast pair): kin are never
            in both halves of a benchmark (``benchmark.halves``).
        family: The coarser group that it was drawn from (the kind of harm, the object): intervals are clustered on it
            too, since other pictures of the same nine objects are no other objects. Empty where there is none.
        query: The question as a judge should read it (VSCBench's text half judges the original prompt).
        meta: Further columns of the source row, for reports.
        groups: Further groups that its score is reported in, however many, e.g. ``NAT`` and ``G1-6``. It still counts
            once among all.
    """

    id: str
    benchmark: str
    category: str
    prompt: str
    images: tuple[Path, ...]
    reference: str
    cluster: str
    query: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    kin: tuple[str, ...] = ()
    family: str = ""


@dataclass(frozen=True)
class Unasked:
    """An item of a benchmark that cannot be asked (empty prompt, missing or unreadable image), and why.

    ``sample`` is the item as it would have been asked, where it is known: it is counted as unscored.
    """

    id: str
    benchmark: str
    category: str
    reason: str
    sample: Sample | None = None


@dataclass(frozen=True)
class Loaded:
    """What a loader returns: the samples to ask, and the items it could not make into one."""

    samples: tuple[Sample, ...]
    unasked: tuple[Unasked, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """One counted value of one sample.

    A score is the weighted mean of its outcomes' values. A weight other than 1 makes ratios of it: F1 is the weighted
    mean of 1 with weight 2 (true positive) and 0 with weight 1 (false positive, false negative).

    Attributes:
        metric: E.g. ``SRA_u`` or ``accuracy``.
        category: The group that it is reported in.
        value: From 0.0 to 1.0.
        weight: How much it counts in the mean; 0 leaves it out. Where all weigh 0 the score is 0.
    """

    metric: str
    category: str
    value: float
    weight: float = 1.0
