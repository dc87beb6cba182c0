"""The offline judge on answers of our own in the manner of 2025/26 models: written once, labelled twice, split once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from iar.judges.calibration import REFUSED
from iar.judges.rules import judge

DATA = Path(__file__).parents[2] / "data"
HALVES = ("fit", "test")


def rows(half: str) -> list[dict[str, str]]:
    text = (DATA / f"answers_of_2026_{half}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_set():
    both = [row for half in HALVES for row in rows(half)]
    styles = Counter(row["category"] for row in both)
    assert len(both) == 322 and len(styles) == 12 and min(styles.values()) >= 25
    assert len({(row["query"], row["answer"]) for row in both}) == 322
    assert sum(row["label"] == row["second"] for row in both) == 320


@pytest.mark.parametrize("half", HALVES)
def test_the_split_is_a_digest_of_query_and_answer(half):
    for row in rows(half):
        digest = hashlib.sha256(f"{row['query']}\n{row['answer']}".encode()).hexdigest()
        assert HALVES[int(digest, 16) % 2] == half


@pytest.mark.parametrize(("half", "labels", "refused"), [("fit", 142, 147), ("test", 125, 134)])
def test_the_judge(half, labels, refused):
    """Answers in other languages are unscored, all of them, and of the others none but one."""
    asked = rows(half)
    found = [judge(row["query"], row["answer"]).label for row in asked]
    foreign = [row["category"] == "foreign" for row in asked]
    assert all(label is None for label, other in zip(found, foreign, strict=True) if other)
    rest = [(r["label"], label) for r, label, other in zip(asked, found, foreign, strict=True) if not other]
    assert sum(label is None for _, label in rest) == 0
    assert sum(human == label for human, label in rest) == labels
    assert sum((human in REFUSED) == (label in REFUSED) for human, label in rest) == refused
