"""Is the data of a protocol there, whole, and the release that it pins? Every image is decoded to its last pixel."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import UnidentifiedImageError

from benchmark import drawing
from benchmark.errors import DataError
from benchmark.joining import SIZES
from benchmark.protocol import Protocol
from benchmark.sample import Sample
from benchmark.scoring import questions
from benchmark.textfile import read_text

_TEXT = (".json", ".jsonl", ".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        what: E.g. ``image files``.
        found: E.g. ``500 of 500``.
        damage: Whether the data are incomplete by it, or damaged, or another release.
        examples: The first of the things meant, each with its reason.
    """

    what: str
    found: str
    damage: bool = False
    examples: tuple[str, ...] = ()


def validate(
    protocol: Protocol,
    root: Path,
    split: str = "test",
    others: Iterable[Protocol] = (),
    tick: Callable[[int], object] = int,
) -> list[Finding]:
    """Check everything; nothing that is wrong stops the rest from being checked, unless the questions cannot be read.

    Args:
        others: Further protocols of the benchmark, to name the release that a folder holds instead.
        tick: Called with the number of images still to be checked.

    Raises:
        DataError: There is no such folder.
    """
    if not root.exists():
        raise DataError(f"no folder {root}: give the one with the data of {protocol.benchmark} as --data")
    findings = [*_release(protocol, root, others), *_encodings(protocol, root)]
    try:
        samples = questions(protocol, root, split)
    except DataError as error:
        return [*findings, Finding("questions", "cannot be read", True, (str(error),))]
    return [
        *findings,
        *_questions(protocol, samples, split),
        *_absent(protocol, root, split),
        *_images(samples, root, tick),
    ]


def release(protocol: Protocol, root: Path, others: Iterable[Protocol] = ()) -> tuple[list[str], list[str], str]:
    """Pinned files that are missing, those with other content, and the protocol whose release is there instead ("")."""
    digests = {name: _digest(root, name) for name in protocol.digests}
    missing = [name for name, digest in digests.items() if not digest]
    differ = [name for name, digest in digests.items() if digest and digest != protocol.digests[name]]
    instead = next(
        (other.name for other in others if differ and all(_digest(root, n) == d for n, d in other.digests.items())), ""
    )
    return missing, differ, instead


def problem(path: Path) -> str:
    """What is wrong with an image file, "" if it decodes to its last pixel: ``missing``, ``empty``, ``torn: ...``."""
    if not os.path.isfile(path):
        return "missing"
    if not path.stat().st_size:
        return "empty"
    try:
        with drawing.opened(path) as image:
            image.load()
    except DataError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            return "not an image"
        return f"torn: {str(error).partition(f'{path}: ')[2]}"
    return ""


def _release(protocol: Protocol, root: Path, others: Iterable[Protocol]) -> list[Finding]:
    if not protocol.digests:
        return [Finding("release", "none is pinned")]
    missing, differ, instead = release(protocol, root, others)
    good = len(protocol.digests) - len(missing) - len(differ)
    reasons = [f"{name}: missing" for name in missing] + [f"{name}: other content" for name in differ]
    if instead:
        reasons.insert(0, f"this is the release of {instead}")
    return [Finding("release", f"{good} of {len(protocol.digests)} pinned files", bool(reasons), tuple(reasons))]


def _digest(root: Path, name: str) -> str:
    """SHA-256 of a file of the folder or at most two folders below (FigStep's data/question/); "" if it is absent."""
    found = next((path for pattern in (name, f"*/{name}", f"*/*/{name}") for path in root.glob(pattern)), None)
    return hashlib.sha256(found.read_bytes()).hexdigest() if found else ""


def _encodings(protocol: Protocol, root: Path) -> list[Finding]:
    patterns = protocol.files or tuple(protocol.digests)
    paths = sorted({path for pattern in patterns for path in root.glob(pattern) if path.suffix in _TEXT})
    wrong = []
    for path in paths:
        try:
            read_text(path)
        except DataError as error:
            wrong.append(str(error))
    return [Finding("question files", f"{len(paths)} of text", bool(wrong), tuple(wrong))] if paths else []


def _questions(protocol: Protocol, samples: Sequence[Sample], split: str) -> list[Finding]:
    expected = SIZES.get(protocol.questions) if split == "test" else None
    other = expected is not None and len(samples) != expected
    number = f"{len(samples)} of {expected}" if expected else str(len(samples))
    twice = [f"{name}: {count} times" for name, count in Counter(s.id for s in samples).items() if count > 1]
    requests = Counter((s.prompt, s.images) for s in samples)
    empty = [sample.id for sample in samples if not sample.prompt.strip()]
    findings = [
        Finding("questions", number, other or not samples),
        Finding("ids that occur twice", str(len(twice)), bool(twice), tuple(twice)),
        Finding("distinct requests", f"{len(requests)} of {len(samples)}"),
    ]
    if empty:  # the released VSCBench has some: they cannot be asked, but nothing is missing
        findings.append(Finding("empty prompts (not asked)", str(len(empty)), False, tuple(empty)))
    return findings


def _absent(protocol: Protocol, root: Path, split: str) -> list[Finding]:
    """Questions that the data name but do not hold (ScienceQA's pid_splits.json names problems)."""
    try:
        loaded = protocol.load(root, split)
    except DataError:  # no image at all: `_images` says which
        return []
    reasons = tuple(item.reason for item in loaded.unasked if item.sample is None)
    return [Finding("named but absent", str(len(reasons)), True, reasons)] if reasons else []


def _images(samples: Sequence[Sample], root: Path, tick: Callable[[int], object]) -> list[Finding]:
    paths = sorted({path for sample in samples for path in sample.images})
    if not paths:
        return []
    wrong: dict[str, list[str]] = {"missing": [], "torn": [], "not an image": []}
    good = 0
    with ThreadPoolExecutor(4) as pool:  # decoding releases the interpreter's lock
        for done, (path, reason) in enumerate(zip(paths, pool.map(problem, paths), strict=True), start=1):
            kind = {"": "", "missing": "missing", "not an image": "not an image"}.get(reason, "torn")
            if kind:
                shown = os.path.relpath(path, root)
                wrong[kind].append(shown if reason == kind else f"{shown}: {reason}")
            good += not kind
            tick(len(paths) - done)
    findings = [Finding("image files", f"{good} of {len(paths)} decode", good < len(paths))]
    for kind, items in wrong.items():
        if items:
            findings.append(Finding(f"  {kind}", str(len(items)), True, tuple(items)))
    return findings
