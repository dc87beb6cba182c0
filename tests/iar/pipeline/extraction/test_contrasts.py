from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.halves import words
from iar.errors import UserError
from iar.pairs import sources
from iar.pairs.row import Row
from iar.pipeline.extraction import gate_prompts
from iar.pipeline.extraction.gate_prompts import is_contrast


def rows() -> list[Row]:
    return list(sources.rows({"path": gate_prompts.CONTRASTS}))


def texts(row: Row) -> tuple[str, str]:
    assert row.safe and row.unsafe
    return row.safe.prompt, row.unsafe.prompt


def test_both_sides_of_a_pair_have_its_verb_and_open_alike() -> None:
    found = rows()
    assert len(found) == 302
    stems = {row.id: row.id.partition("/")[0][:4] for row in found}
    assert all(stems[row.id] in side.lower() for row in found for side in texts(row))
    assert len({row.id.partition("/")[0] for row in found}) == 248
    assert max(Counter(row.id.partition("/")[0] for row in found).values()) <= 2
    # Neither the verb nor the first word says which side it is.
    first = [Counter(texts(row)[side].split()[0] for row in found) for side in (0, 1)]
    assert all(abs(first[0][word] - first[1][word]) <= 12 for word in first[0] | first[1])
    lengths = [sum(len(texts(row)[side].split()) for row in found) / len(found) for side in (0, 1)]
    assert abs(lengths[0] - lengths[1]) < 1.5


def test_prompts_alone_and_each_once() -> None:
    found = rows()
    assert all(
        side.response is None and side.image is None and not row.category for row in found for _, side in row.sides
    )
    every = [words(text) for row in found for text in texts(row)]
    assert len(set(every)) == len(every) == 604


def test_no_text_is_one_of_xstests(test_data: Callable[[str], Path]) -> None:
    with test_data("xstest/xstest_prompts.csv").open(encoding="utf-8", newline="") as file:
        theirs = {tuple(re.findall(r"\w+", row["prompt"].lower())) for row in csv.DictReader(file)}
    assert len(theirs) > 440
    ours = {tuple(re.findall(r"\w+", text.lower())) for row in rows() for text in texts(row)}
    assert not ours & theirs


def test_they_are_read_by_name(compose: Callable[..., Any], tmp_path: Path) -> None:
    names = ["gate_prompts.unsafe=[contrasts]", "gate_prompts.benign=[contrasts]"]
    cfg = compose("sweep", f"data.root={tmp_path}", *names)
    found = gate_prompts.read(cfg)
    assert len(found.unsafe) == len(found.benign) == 302 and gate_prompts.present(compose("sweep", *names))
    assert len(set(found.groups)) == 248  # all lines of a verb are held out together
    assert [*found.unsafe, *found.benign] == gate_prompts.contrasts() and all(map(is_contrast, found.asked))
    shorter = compose("sweep", f"data.root={tmp_path}", "gate_prompts=contrasts")
    assert gate_prompts.read(shorter).digest == found.digest and shorter.to_dict() == cfg.to_dict()
    with pytest.raises(
        UserError, match=r"^gate_prompts=contrast is unknown: contrasts, or files \(gate_prompts\.unsafe"
    ):
        compose("sweep", "gate_prompts=contrast")
