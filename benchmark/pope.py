"""POPE: yes/no questions about the objects in a photograph (Li et al. 2023, arXiv 2305.10355).

Layout: ``coco_pope_{random,popular,adversarial}.json`` in one folder (JSON Lines despite the suffix; JSON arrays
load too), the images beside them in ``val2014/``, in ``images/``, or loose. Asked as LLaVA asks: the question and a
suffix. ``question_id`` restarts in every split, so a sample is named ``<split>/<question_id>``.

Two releases of the questions are about, with the same file names and hardly a question in the same place:
``official-9000`` (the authors' repository today) and ``llava-8910`` (its commit e3e3926, which LLaVA reports on).
9,000 questions are 5,127 distinct requests, 8,910 are 5,043: the same photograph and text occur in several splits.

Three rules read an answer. The presets use ``parse``, those ending in ``-authors`` use ``parse_official``; on answers
that are a clean yes or no all three agree. ``parse_exact`` is lmms-eval's: compare with its numbers by that.

"The" POPE score of LLaVA's papers is the unweighted mean of the three splits' F1 (category ``mean of three``); pooled
over all questions (category ``all``) it differs in the third digit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmark import files, short_answers
from benchmark.errors import DataError, did_you_mean
from benchmark.images import sort_out
from benchmark.protocol import Headline, Protocol
from benchmark.sample import Loaded, Outcome, Sample
from benchmark.untrusted import parse_json

SPLITS = ("random", "popular", "adversarial")
FILES = tuple(f"coco_pope_{split}.json" for split in SPLITS)
IMAGE_FOLDERS = ("val2014", "images", ".")
LABELS = ("yes", "no")
METRICS = ("accuracy", "precision", "recall", "F1", "yes", "unparseable")
SUFFIX = "\nAnswer the question using a single word or phrase."
_QUESTIONS_FROM = "https://github.com/RUCAIBox/POPE/tree/main/output/coco"
_IMAGES_FROM = "http://images.cocodataset.org/zips/val2014.zip"


def load(root: Path, split: str = "test") -> Loaded:
    """All three splits. ``split`` is ignored: POPE is a test set as a whole.

    Raises:
        DataError: if a question file or all images are missing, or a line is not a POPE question.
    """
    samples = read(root, split)
    if not any(os.path.isfile(sample.images[0]) for sample in samples):
        places = ", ".join(str(root / folder) for folder in IMAGE_FOLDERS)
        raise DataError(f"none of POPE's images is in {places}: download {_IMAGES_FROM} and unpack it in {root}")
    return sort_out(samples)


def read(root: Path, split: str = "test") -> tuple[Sample, ...]:
    """Every question of the three splits, whether or not its image is there.

    Raises:
        DataError: as `load`, but for the images.
    """
    named = zip(SPLITS, FILES, strict=True)
    found = cache(partial(files.image, root, IMAGE_FOLDERS))  # many questions show one image
    return tuple(_sample(found, name, row) for name, file in named for row in _rows(root / file))


def _sample(image: Callable[[str], Path], split: str, row: dict[str, Any]) -> Sample:
    return Sample(
        id=f"{split}/{row['question_id']}",
        benchmark="pope",
        category=split,
        prompt=row["text"] + SUFFIX,
        images=(image(row["image"]),),
        reference=row["label"],
        cluster=row["image"],
        query=row["text"],
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise DataError(f"no POPE questions at {path}: download {path.name} from {_QUESTIONS_FROM} into {path.parent}")
    way_out = f"download it again from {_QUESTIONS_FROM}"
    text = files.text(path, way_out)
    numbered: list[tuple[int, Any]]
    try:
        if text.lstrip().startswith("["):
            numbered = list(enumerate(parse_json(text), start=1))
        else:  # two of the official files end their lines with CRLF, which is white space to JSON
            numbered = [(n, parse_json(line)) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} is not JSON Lines ({error}): {way_out}") from error
    if not numbered:
        raise DataError(f"{path} holds no question: {way_out}")
    seen: set[str] = set()
    for number, row in numbered:
        missing = {"question_id", "image", "text", "label"} - set(row if isinstance(row, dict) else ())
        if missing:
            raise DataError(f"{path}, question {number}: no {', '.join(sorted(missing))}")
        for name in ("image", "text"):
            if not isinstance(row[name], str) or not row[name]:
                raise DataError(f"{path}, question {number}: {name} is not text: {way_out}")
        if row["label"] not in LABELS:
            raise DataError(f"{path}, question {number}: label {row['label']!r} is not yes or no")
        if str(row["question_id"]) in seen:
            raise DataError(f"{path}, question {number}: question_id {row['question_id']} occurs twice")
        seen.add(str(row["question_id"]))
    return [row for _, row in numbered]


def parse(answer: str) -> str | None:
    """``yes`` or ``no`` if exactly one of these words is in the final answer, else None (unknown-aware, as VLMEvalKit).

    The default, because an over-steered model answers with rubbish, which the official rule counts as yes.
    """
    return short_answers.yes_no(answer)


def parse_official(answer: str) -> str:
    """POPE's own rule: ``no`` if No, not or no is a word of the first sentence, else ``yes``; never unparseable."""
    words = answer.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def parse_exact(answer: str) -> str | None:
    """lmms-eval's rule: the whole answer must be yes or no, in any case; ``Yes.`` is unparseable."""
    word = answer.lower().strip()
    return word if word in LABELS else None


def outcomes(sample: Sample, label: str | None) -> list[Outcome]:
    """Accuracy, precision, recall and F1 of the answer yes, and how often it is yes or cannot be parsed.

    An unparseable answer is wrong, and not a yes: among the questions whose answer is yes it is one more missed.
    Precision TP/(TP+FP) counts the answers yes only, recall TP/(TP+FN) the questions whose answer is yes,
    F1 = 2TP/(2TP+FP+FN) all but the rightly answered no: the others weigh 0 there. Where nothing weighs anything (a
    model that never says yes has no precision) the score is 0, where the released code divides by zero.
    ``yes`` and ``unparseable`` show a model that collapsed into one answer or into rubbish.
    """
    if label is not None and label not in LABELS:
        raise ValueError(f"not a label of POPE: {label!r} ({did_you_mean(label, LABELS)})")
    said, true = label == "yes", sample.reference == "yes"
    hit = said and true
    counted = {
        "accuracy": (label == sample.reference, 1),
        "precision": (hit, said),
        "recall": (hit, true),
        "F1": (hit, said + true),
        "yes": (said, 1),
        "unparseable": (label is None, 1),
    }
    return [
        Outcome(metric, sample.category, float(value), float(weight)) for metric, (value, weight) in counted.items()
    ]


_RELEASES = {
    "official-9000": (
        "POPE's repository, output/coco: 9,000 questions",
        (
            "ac25245170b975a5bdf9080b23fd431dfe6be458bc038259c1f4f09a6bef7994",
            "72c1a8ad45d0c13514f5f22598261df41d3b533854d29682e924db50ed8aa753",
            "420b3407db1fa9f1187a805dca41cb7b97fd91504e6c2179706188c107fb8ef8",
        ),
    ),
    "llava-8910": (
        "POPE's repository at e3e3926, output/coco: the 8,910 questions that LLaVA reports on",
        (
            "c16b65d2df6d70bb0814c8a4375833d39cdb09928fd936d3fc546491efa37f35",
            "5b16653023bf4f64d57eb0d168259de6627f5cde7538b85ebed3cc33034aa6cc",
            "1d8f0906a9b50c05640f6f23abfac97523be2a1bed28f7eadc63b811699b2d26",
        ),
    ),
}


# Ending of the preset's name -> parser, its function, length of an answer, and whose counting it is
_PARSERS: dict[str, tuple[str, Callable[[str], str | None], int, str]] = {
    "": ("unknown-aware", parse, 8, "LLaVA's llava_pope_test.jsonl"),
    "-authors": ("official", parse_official, 128, "POPE's evaluate.py, which is LLaVA's eval_pope.py"),
    "-exact": ("exact", parse_exact, 128, "lmms-eval's pope_process_results"),
}


def _preset(release: str, ending: str) -> Protocol:
    data, digests = _RELEASES[release]
    parser, rule, length, source = _PARSERS[ending]
    return Protocol(
        name=f"pope/{release}{ending}",
        version="1" if ending else "2",
        data=data,
        prompt="{question}" + SUFFIX,
        images="the photograph, before the text",
        max_new_tokens=length,
        parser=parser,
        aggregation="per split; the unweighted mean of the three splits; all questions pooled",
        cluster="image",
        metrics=METRICS,
        labels=LABELS,
        source=source,
        load=load,
        outcomes=outcomes,
        parse=lambda answer, _: rule(answer),
        digests=dict(zip(FILES, digests, strict=True)),
        headlines=(
            Headline("POPE", "accuracy", panel="POPE"),
            Headline("yes", "yes", better=0, full="POPE yes", detail=True),
        ),
    )


PROTOCOLS = tuple(_preset(release, ending) for ending in _PARSERS for release in _RELEASES)
