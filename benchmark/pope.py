"""POPE: yes/no questions about the objects in a photograph (Li et al. 2023, arXiv 2305.10355).

Layout: ``coco_pope_{random,popular,adversarial}.json`` in one folder (JSON Lines despite the suffix; JSON arrays
load too), the images beside them in ``val2014/``, in ``images/``, or loose. Asked as LLaVA asks: the question and a
suffix. Both versions of the data load, the official 9,000 questions and the 8,910 that LLaVA reports on; their
``question_id`` restarts in every split, so a sample is named ``<split>/<question_id>``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmark.errors import DataError, did_you_mean
from benchmark.images import sort_out
from benchmark.protocol import Protocol
from benchmark.sample import Loaded, Outcome, Sample

SPLITS = ("random", "popular", "adversarial")
IMAGE_FOLDERS = ("val2014", "images", ".")
LABELS = ("yes", "no")
JUDGED = False
PROTOCOL = Protocol(
    name="pope",
    version="1",
    max_new_tokens=8,
    suffix="\nAnswer the question using a single word or phrase.",
    parser="unknown-aware",
    cluster="image",
    metrics=("accuracy", "yes", "unparseable"),
    source="LLaVA's llava_pope_test.jsonl",
)
_QUESTIONS_FROM = "https://github.com/RUCAIBox/POPE/tree/main/output/coco"
_IMAGES_FROM = "http://images.cocodataset.org/zips/val2014.zip"


def load(root: Path, split: str = "test") -> Loaded:
    """All three splits. ``split`` is ignored: POPE is a test set as a whole.

    Raises:
        DataError: if a question file or all images are missing, or a line is not a POPE question.
    """
    samples = [_sample(root, name, row) for name in SPLITS for row in _rows(root / f"coco_pope_{name}.json")]
    if not any(sample.images[0].is_file() for sample in samples):
        places = ", ".join(str(root / folder) for folder in IMAGE_FOLDERS)
        raise DataError(f"none of POPE's images is in {places}: download {_IMAGES_FROM} and unpack it in {root}")
    return sort_out(samples)


def _sample(root: Path, split: str, row: dict[str, Any]) -> Sample:
    places = [root / folder / row["image"] for folder in IMAGE_FOLDERS]
    return Sample(
        id=f"{split}/{row['question_id']}",
        benchmark="pope",
        category=split,
        prompt=row["text"] + PROTOCOL.suffix,
        images=(next((place for place in places if place.is_file()), places[0]),),
        reference=row["label"],
        cluster=row["image"],
        query=row["text"],
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise DataError(f"no POPE questions at {path}: download {path.name} from {_QUESTIONS_FROM} into {path.parent}")
    numbered: list[tuple[int, Any]]
    try:
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("["):
            numbered = list(enumerate(json.loads(text), start=1))
        else:  # two of the official files end their lines with CRLF, one with LF: reading made all of them LF
            numbered = [(n, json.loads(line)) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} is not JSON Lines ({error}): download it again from {_QUESTIONS_FROM}") from error
    seen: set[str] = set()
    for number, row in numbered:
        missing = {"question_id", "image", "text", "label"} - set(row if isinstance(row, dict) else ())
        if missing:
            raise DataError(f"{path}, question {number}: no {', '.join(sorted(missing))}")
        if row["label"] not in LABELS:
            raise DataError(f"{path}, question {number}: label {row['label']!r} is not yes or no")
        if str(row["question_id"]) in seen:
            raise DataError(f"{path}, question {number}: question_id {row['question_id']} occurs twice")
        seen.add(str(row["question_id"]))
    return [row for _, row in numbered]


def parse(answer: str) -> str | None:
    """``yes`` or ``no`` if exactly one of these words is in the answer, else None (VLMEvalKit's unknown-aware rule).

    The default, because an over-steered model answers with rubbish, which the official rule counts as yes.
    """
    words = set(re.findall(r"\w+", answer.lower()))
    found = [label for label in LABELS if label in words]
    return found[0] if len(found) == 1 else None


def parse_official(answer: str) -> str:
    """POPE's own rule: ``no`` if No, not or no is a word of the first sentence, else ``yes``; never unparseable."""
    words = answer.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def parse_exact(answer: str) -> str | None:
    """lmms-eval's rule: the whole answer must be yes or no, in any case; ``Yes.`` is unparseable."""
    word = answer.lower().strip()
    return word if word in LABELS else None


def outcomes(sample: Sample, label: str | None) -> list[Outcome]:
    """Accuracy (unparseable = wrong), whether it said yes, and whether it could not be parsed.

    ``yes`` and ``unparseable`` show a model that collapsed into one answer or into rubbish.
    """
    if label is not None and label not in LABELS:
        raise ValueError(f"not a label of POPE: {label!r} ({did_you_mean(label, LABELS)})")
    values = {"accuracy": label == sample.reference, "yes": label == "yes", "unparseable": label is None}
    return [Outcome(metric, sample.category, float(value)) for metric, value in values.items()]
