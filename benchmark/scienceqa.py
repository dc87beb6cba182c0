"""ScienceQA: multiple choice about school science, half of it with a picture (Lu et al. 2022).

Layout: ``problems.json``, ``pid_splits.json`` and ``images/{split}/{pid}/image.png``, as ScienceQA's own download
gives them. Asked as LLaVA asks (its CQM-A questions): the hint as context, the question, the lettered choices, then
a suffix; a problem without a picture is asked without one.

``llava-full`` is the whole test split (4,241), ``llava-img`` its problems with a picture (2,017): papers that print
"SQA-I" mean the latter, which is the category ``image`` of the former. ``text`` is the other 2,224, for models that
read no images. Beside the categories ``image`` and ``text`` (no picture), scores come in ScienceQA's own overlapping
groups: NAT, SOC, LAN (subject); TXT (has a hint), IMG (has a picture), NO (neither); G1-6, G7-12 (grade); and each
topic, as ``topic: physics``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmark import files, short_answers
from benchmark.errors import DataError, did_you_mean
from benchmark.images import sort_out
from benchmark.protocol import Headline, Protocol
from benchmark.sample import Loaded, Outcome, Sample, Unasked

LETTERS = ("A", "B", "C", "D", "E")
METRICS = ("accuracy", "unparseable", *(f"letter_{letter}" for letter in LETTERS))
SUFFIX = "\nAnswer with the option's letter from the given choices directly."
SUBJECTS = {"natural science": "NAT", "social science": "SOC", "language science": "LAN"}
_FROM = "https://github.com/lupantech/ScienceQA"
# preset -> how many problems, whether they have a picture
_SETS = {
    "llava-full": ("4,241 problems", None),
    "llava-img": ("its 2,017 problems with a picture", True),
    "text": ("its 2,224 problems without a picture", False),
}
_NEEDED = {"question", "choices", "answer", "hint", "image"}


def load(root: Path, split: str = "test", pictured: bool | None = None) -> Loaded:
    """The problems of a split (``validation`` is ScienceQA's ``val``), in the order of ``pid_splits.json``.

    Problems named there but absent from ``problems.json`` are reported as one ``Unasked`` with their number.

    Args:
        pictured: Only those with (True) or without (False) a picture.

    Raises:
        DataError: if a file or the image folder is missing, the split is unknown, or a problem is malformed.
    """
    samples, absent = _read(root, split, pictured)
    if any(sample.images for sample in samples) and not (root / "images").is_dir():
        raise DataError(
            f"no ScienceQA images at {root / 'images'}: run tools/download.sh of {_FROM}, move images/ there"
        )
    loaded = sort_out(samples)
    return Loaded(loaded.samples, (*loaded.unasked, absent)) if absent else loaded


def read(root: Path, split: str = "test", pictured: bool | None = None) -> tuple[Sample, ...]:
    """Every problem that `load` looks at, whether or not its picture is there.

    Raises:
        DataError: as `load`, but for the images.
    """
    return _read(root, split, pictured)[0]


def _read(root: Path, split: str, pictured: bool | None) -> tuple[tuple[Sample, ...], Unasked | None]:
    problems, splits = _json(root / "problems.json"), _json(root / "pid_splits.json")
    name = "val" if split == "validation" else split
    if name not in splits:
        raise DataError(f"unknown ScienceQA split {split!r} in {root}: {did_you_mean(split, splits)}")
    if not isinstance(splits[name], list):
        raise DataError(
            f"{root / 'pid_splits.json'}: split {name!r} is not a list of problems: download it again from {_FROM}"
        )
    pids = [str(pid) for pid in splits[name]]
    samples = tuple(_sample(root, name, pid, problems[pid]) for pid in pids if pid in problems)
    absent = len(pids) - len(samples)
    if pictured is not None:
        samples = tuple(sample for sample in samples if bool(sample.images) is pictured)
    if not absent:
        return samples, None
    reason = f"{absent} of the {len(pids)} problems of split {name!r} are not in {root / 'problems.json'}"
    return samples, Unasked(f"{name}/absent", "scienceqa", "absent", reason)


def prompt(problem: dict[str, Any]) -> str:
    """LLaVA's CQM-A question and the suffix, byte for byte; without LLaVA's ``<image>`` mark.

    Double blanks become single ones in one pass over the text, as ScienceQA's own prompt code does.
    """
    context = f"Context: {problem['hint']}\n" if problem["hint"] else ""
    choices = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, problem["choices"], strict=False))
    return f"{context}{problem['question']}\n{choices}".replace("  ", " ").strip() + SUFFIX


def _sample(root: Path, split: str, pid: str, problem: dict[str, Any]) -> Sample:
    if wrong := _wrong(problem):
        raise DataError(f"{root / 'problems.json'}, problem {pid}: {wrong}")
    # minival and the like are selections from the three folders that exist: the problem knows its own folder
    folder = root / "images" / (problem.get("split") or split) / pid
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
        groups=tuple(_groups(problem)),
    )


def _wrong(problem: Any) -> str:
    """What a problem lacks, "" if nothing."""
    if not isinstance(problem, dict):
        return "not an object"
    if missing := _NEEDED - set(problem):
        return f"no {', '.join(sorted(missing))}"
    for name, optional in (("question", False), ("hint", True), ("image", True), ("split", True), ("topic", True)):
        if not isinstance(problem.get(name), str) and not (optional and problem.get(name) is None):
            return f"{name} is {type(problem.get(name)).__name__}, not text"
    choices, answer = problem["choices"], problem["answer"]
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return "choices are not a list of texts"
    if len(choices) > len(LETTERS):
        return f"{len(choices)} choices, and there are letters for {len(LETTERS)}"
    if type(answer) is not int or not 0 <= answer < len(choices):
        return f"answer {answer!r} is not one of its choices"
    return ""


def _groups(problem: dict[str, Any]) -> Iterator[str]:
    """As ScienceQA's tools/evaluate_acc.py groups its table; TXT and IMG overlap."""
    if (subject := str(problem.get("subject"))) in SUBJECTS:
        yield SUBJECTS[subject]
    if problem["hint"]:
        yield "TXT"
    if problem["image"]:
        yield "IMG"
    if not problem["hint"] and not problem["image"]:
        yield "NO"
    grade = str(problem.get("grade", "")).removeprefix("grade")
    if grade.isdecimal() and len(grade) < 3:
        yield "G1-6" if int(grade) <= 6 else "G7-12"
    if problem.get("topic"):
        yield f"topic: {problem['topic']}"


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"no {path.name} at {path}: download it from {_FROM} (data/scienceqa) into {path.parent}")
    content: dict[str, Any] = files.json_content(path, dict, f"download it again from {_FROM}")
    return content


def parse(answer: str) -> str | None:
    """The chosen letter where the final answer states one, never a guess (`benchmark.short_answers.letter`); None else.

    So ``(B``, ``B) no`` and "The answer is (B)" count, which LLaVA's rule calls failed, and "The answer is Amber", A to
    LLaVA's rule and ScienceQA's own, does not.
    """
    return short_answers.letter(answer, "".join(LETTERS))


def parse_llava(answer: str) -> str | None:
    """LLaVA's ``eval_science_qa.py``: a bare letter, ``B. ...``, or exactly one "The answer is B"; else None.

    The released expression ends in an unescaped dot: any one character may follow the letter, but one must.
    """
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


def _preset(name: str, authors: bool) -> Protocol:
    released = "LLaVA's eval_science_qa.py"
    size, pictured = _SETS[name]
    return Protocol(
        name=f"scienceqa/{name}{'-authors' if authors else ''}",
        version="1" if authors else "3",
        data=f"ScienceQA's test split: {size}",
        prompt="[Context: {hint}\n]{question}\nA. {choice}\nB. {choice}..." + SUFFIX,
        images="none" if pictured is False else "the problem's picture, before the text, where it has one",
        max_new_tokens=1024 if authors else 8,
        parser=released if authors else "the letter that opens the answer or that it names as the answer",
        aggregation="all problems pooled; by picture, subject, context, grade and topic",
        cluster="problem",
        metrics=METRICS,
        labels=LETTERS,
        source=released if authors else "LLaVA's llava_test_CQM-A.json",
        load=partial(load, pictured=pictured),
        outcomes=outcomes,
        parse=(lambda answer, _: parse_llava(answer)) if authors else (lambda answer, _: parse(answer)),
        digests={"pid_splits.json": "85c7820b9f136e572579a01dab2c77a7f8140b59211e421fa5182491d45ee3a7"},
        files=("problems.json", "pid_splits.json"),
        headlines=(
            Headline("SQA", "accuracy", full="ScienceQA", panel="ScienceQA"),
            Headline("SQA-I", "accuracy", "image", full="ScienceQA image", detail=True),
        ),
        own_splits=True,
    )


PROTOCOLS = (*(_preset(name, False) for name in _SETS), _preset("llava-full", True), _preset("llava-img", True))
