"""Image files of a benchmark: which samples can be asked, and why the others cannot."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from benchmark import drawing
from benchmark.errors import DataError
from benchmark.sample import Loaded, Sample, Unasked


def problem(path: Path) -> str | None:
    """Why an image cannot be used, naming the file; None if it can.

    Looks only at the file's existence and header, so thousands of files cost seconds; a file whose pixels
    break off later still fails when it is decoded.
    """
    if not os.path.exists(path):  # `Path.exists` raises on a name that is too long
        return f"missing image: {path}"
    try:
        with drawing.opened(path):
            return None
    except DataError as error:
        return f"unreadable image: {path} ({str(error).partition(f'{path}: ')[2]})"


def sort_out(samples: Iterable[Sample]) -> Loaded:
    """Separate the samples that can be asked from those with an empty prompt or an unusable image.

    Each file is looked at once, however many samples share it.
    """
    known: dict[Path, str | None] = {}
    asked: list[Sample] = []
    unasked: list[Unasked] = []
    for sample in samples:
        reason = None if sample.prompt.strip() else "empty prompt"
        for path in sample.images:
            if path not in known:
                known[path] = problem(path)
            reason = reason or known[path]
        if reason is None:
            asked.append(sample)
        else:
            unasked.append(Unasked(sample.id, sample.benchmark, sample.category, reason, sample))
    return Loaded(tuple(asked), tuple(unasked))
