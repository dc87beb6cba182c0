"""ScienceQA: multiple choice about school science, half of it with a picture (Lu et al. 2022).

Layout: ``problems.json``, ``pid_splits.json`` and ``images/{split}/{pid}/image.png``, as ScienceQA's own download
gives them. Asked as LLaVA asks (its CQM-A questions): the hint as context, the question, the lettered choices, then
a suffix. Papers that print "SQA-I" mean the category ``image``; the total is over both categories.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmark.errors import DataError, did_you_mean
from benchmark.images import sort_out
from benchmark.protocol import Protocol
from benchmark.sample import Loaded, Outcome, Sample, Unasked

LETTERS = ("A", "B", "C", "D", "E")
JUDGED = False
PROTOCOL = Protocol(
    name="scienceqa",
    version="1",
    max_new_tokens=8,
    suffix="\nAnswer with the option's letter from the given choices directly.",
    parser="LLaVA's rule, then a letter in brackets or before . ) :",
    cluster="problem",
    metrics=("accuracy", "unparseable", *(f"letter_{letter}" for letter in LETTERS)),
    source="LLaVA's llava_test_CQM-A.json",
)
_FROM = "https://github.com/lupantech/ScienceQA"
_NEEDED = {"question", "choices", "answer", "hint", "image"}


def load(root: Path, split: str = "test") -> Loaded:
    """The problems of a split (``validation`` is ScienceQA's ``val``), in the order of ``pid_splits.json``.

    Problems named there but absent from ``problems.json`` are reported as one ``Unasked`` with their number.

    Raises:
        DataError: if a file or the image folder is missing, the split is unknown, or a problem is malformed.
    """
    problems, splits = _json(root / "problems.json"), _json(root / "pid_splits.json")
    name = "val" if split == "validation" else split
    if name not in splits:
        raise DataError(f"unknown ScienceQA split {split!r} in {root}: {did_you_mean(split, splits)}")
    pids = [str(pid) for pid in splits[name]]
    samples = [_sample(root, name, pid, problems[pid]) for pid in pids if pid in problems]
    if any(sample.images for sample in samples) and not (root / "images").is_dir():
        raise DataError(
            f"no ScienceQA images at {root / 'images'}: run tools/download.sh of {_FROM}, move images/ there"
        )
    loaded = sort_out(samples)
    absent = len(pids) - len(samples)
    if not absent:
        return loaded
    reason = f"{absent} of the {len(pids)} problems of split {name!r} are not in {root / 'problems.json'}"
    return Loaded(loaded.samples, (*loaded.unasked, Unasked(f"{name}/absent", "scienceqa", "absent", reason)))


def prompt(problem: dict[str, Any]) -> str:
    """LLaVA's CQM-A question and the suffix, byte for byte; without LLaVA's ``<image>`` mark.

    Double blanks become single ones in one pass over the text, as ScienceQA's own prompt code does.
    """
    context = f"Context: {problem['hint']}\n" if problem["hint"] else ""
    choices = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, problem["choices"], strict=False))
    return f"{context}{problem['question']}\n{choices}".replace("  ", " ").strip() + PROTOCOL.suffix


def _sample(root: Path, split: str, pid: str, problem: dict[str, Any]) -> Sample:
    missing = _NEEDED - set(problem)
    if missing:
        raise DataError(f"{root / 'problems.json'}, problem {pid}: no {', '.join(sorted(missing))}")
    if not 0 <= problem["answer"] < len(problem["choices"]) <= len(LETTERS):
        raise DataError(
            f"{root / 'problems.json'}, problem {pid}: answer {problem['answer']} is not one of its choices"
        )
    # minival and the like are selections from the three folders that exist: the problem knows its own folder
    folder = root / "images" / problem.get("split", split) / pid
    return Sample(
        id=pid,
        benchmark="scienceqa",
        category="image" if problem["image"] else "text",
        prompt=prompt(problem),
        images=(folder / problem["image"],) if problem["image"] else (),
        reference=LETTERS[problem["answer"]],
        cluster=pid,
        query=problem["question"],
        meta={key: str(problem[key]) for key in ("subject", "topic", "grade") if key in problem},
    )


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"no {path.name} at {path}: download it from {_FROM} (data/scienceqa) into {path.parent}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}): download it again from {_FROM}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a JSON object: download it again from {_FROM}")
    return content


def parse(answer: str) -> str | None:
    """The chosen letter: LLaVA's rule, and where that fails a letter in brackets or before ``.``, ``)`` or ``:``.

    So ``B.``, ``(B``, ``(B)`` and ``B) no`` count, which LLaVA's rule calls failed. A bare lower-case letter or one
    that only starts a sentence ("A is a complete sentence.") does not: it may be a word.
    """
    found = parse_llava(answer.strip())
    if found:
        return found
    bracketed = re.match(r"\(?([A-E])[.):](?:\s|$)|\(([A-E])$", answer.strip())
    return bracketed.group(1) or bracketed.group(2) if bracketed else None


def parse_llava(answer: str) -> str | None:
    """LLaVA's ``eval_science_qa.py``: a bare letter, ``B. ...``, or exactly one "The answer is B."; else None."""
    if answer in LETTERS:
        return answer
    if len(answer) >= 3 and answer[0] in LETTERS and answer[1:3] == ". ":
        return answer[0]
    found = re.findall(r"The answer is ([A-Z]).", answer)
    return found[0] if len(found) == 1 and found[0] in LETTERS else None


def outcomes(sample: Sample, label: str | None) -> list[Outcome]:
    """Accuracy (unparseable = wrong), whether it could not be parsed, and one share a letter.

    Letters: a model steered into one letter still scores 40 % on the real test split; their shares show it.
    """
    if label is not None and label not in LETTERS:
        raise ValueError(f"not a label of ScienceQA: {label!r} ({did_you_mean(label, LETTERS)})")
    values = {"accuracy": label == sample.reference, "unparseable": label is None}
    values |= {f"letter_{letter}": label == letter for letter in LETTERS}
    return [Outcome(metric, sample.category, float(value)) for metric, value in values.items()]
