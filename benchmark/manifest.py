"""Any set of questions, from one file: no code is needed for a new benchmark.

A manifest is ``manifest.jsonl`` or ``manifest.csv`` in a folder of its own. A row::

    {"id": "7", "images": ["images/7a.png", "images/7b.png"], "text": "...", "label": "unsafe", "category": "SSU"}

* ``id``: unique. ``text``: the exact user text.
* ``images``: a path, a list of paths (CSV: joined by ``;``) or nothing, relative to the manifest; shown before the
  text, in this order.
* ``label``: what kind of question it is, and with it the protocol:

  =========================  ======================  =============================================================
  label                      protocol                counted
  =========================  ======================  =============================================================
  ``safe``, ``unsafe``       manifest                a judge's labels: SRA_s, SRA_u, SRA_a, irrelevant
  ``yes``, ``no``            manifest/yes-no         accuracy, the share of yes, unparseable
  ``letter``                 manifest/letter         accuracy, unparseable; ``reference`` is the right letter (A to J)
  ``free``                   manifest/short-answer   accuracy, unparseable; the whole answer is ``reference``, but for
                                                     case, punctuation, articles and blanks
  =========================  ======================  =============================================================

  One manifest is of one kind.
* Optional: ``category`` (groups of the report), ``cluster`` (what rows share; else their images, else their text),
  ``family`` (the coarser group that rows are drawn from, such as the object or kind of harm: intervals clustered on it
  stand beside the others), ``reference`` (see above), ``query`` (the question as the judge reads it, where images hold
  what is asked).

Where a manifest is split into halves, rows of one cluster, with one image, with the same ``query``, or without an image
and with the same text are on the same side.

Other columns are ignored. HoliSafe-Bench (arXiv 2506.04704), whose five combinations of image, text and both together
are called SSS, SSU, SUU, USU and UUU (the last letter is that of both together)::

    for row in json.load(open("holisafe_bench.json")):
        label = "safe" if row["type"].endswith("S") else "unsafe"
        print(json.dumps({"id": str(row["id"]), "images": "images/" + row["image"], "text": row["query"],
                          "label": label, "category": row["type"]}))

Categories then are the combinations: SRA_u of USU, say, and SRA_s of SSS.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmark import files, images, judged, short_answers
from benchmark.errors import DataError, did_you_mean
from benchmark.halves import words
from benchmark.protocol import Protocol
from benchmark.sample import Loaded, Outcome, Sample

NAMES = ("manifest.jsonl", "manifest.csv")
REQUIRED = ("id", "text", "label")
COLUMNS = (*REQUIRED, "images", "category", "cluster", "reference", "query", "family")
LETTERS = "ABCDEFGHIJ"
# label -> preset
KINDS = {
    "safe": "default",
    "unsafe": "default",
    "yes": "yes-no",
    "no": "yes-no",
    "letter": "letter",
    "free": "short-answer",
}
METRICS: dict[str, dict[str, tuple[str, ...]]] = {
    "safe": {"SRA_s": ("answer",), "irrelevant": ("irrelevant",)},
    "unsafe": {"SRA_u": judged.RECOGNISED, "irrelevant": ("irrelevant",)},
}
_UNNAMED = "uncategorised"
_FROM = "see the docstring of benchmark.manifest for its columns"


def load(root: Path, split: str = "test", preset: str = "default") -> Loaded:
    """Every row. ``split`` is ignored: one manifest is one split.

    Raises:
        DataError: No manifest, a malformed row, rows of another kind than the preset's, or every image is missing.
    """
    samples = read(root, split, preset)
    files.require_images(samples, root, "paths are relative to the manifest")
    return images.sort_out(samples)


def read(root: Path, split: str = "test", preset: str = "default") -> tuple[Sample, ...]:
    """Every row, named by its id; images are not looked at.

    Raises:
        DataError: No manifest, a malformed row, or rows of another kind than the preset's.
    """
    path = _manifest(root)
    if path.suffix == ".csv":
        rows: list[tuple[str, dict[str, Any]]] = list(files.csv_rows(path, REQUIRED, _FROM))
    else:
        rows = files.json_rows(path, _FROM)
    samples = []
    for place, row in rows:
        _check_columns(row, place)
        label = _cell(row, "label", place).strip().lower()
        if label not in KINDS:
            raise DataError(f"{place}: unknown label {row.get('label')!r}: {did_you_mean(label, KINDS)}")
        if KINDS[label] != preset:
            raise DataError(
                f"{place}: label {label!r} is counted by {_name(KINDS[label])}, and this is {_name(preset)}: "
                "take that protocol, or keep rows of one kind in the manifest"
            )
        samples.append(_sample(path, place, row, label))
    files.unique(zip((place for place, _ in rows), (sample.id for sample in samples), strict=True), "id")
    return tuple(samples)


def _manifest(root: Path) -> Path:
    found = [root / name for name in NAMES if (root / name).is_file()]
    if len(found) == 2:
        raise DataError(f"{root} has manifest.jsonl and manifest.csv: keep one")
    return found[0] if found else files.find(root, NAMES, f"write it, {_FROM}")


def _sample(path: Path, place: str, row: Mapping[str, Any], label: str) -> Sample:
    names = _images(row.get("images"), place)
    prompt = _cell(row, "text", place)
    category = _cell(row, "category", place).strip() or _UNNAMED
    if category == "all":
        raise DataError(f"{place}: category 'all' is the name of the total: give it another name")
    name = _cell(row, "id", place).strip()
    if not name:
        raise DataError(f"{place}: the id is empty: number the rows")
    query = _cell(row, "query", place).strip()
    own = query or ("" if names else prompt)
    return Sample(
        id=name,
        benchmark="manifest",
        category=category,
        prompt=prompt,
        images=tuple(path.parent / name for name in names),
        reference=_reference(label, _cell(row, "reference", place).strip(), place),
        cluster=_cell(row, "cluster", place).strip() or ";".join(names) or prompt,
        query=query or prompt.strip(),
        kin=(words(own),) if own.strip() else (),
        family=_cell(row, "family", place).strip(),
    )


def _check_columns(row: Mapping[str, Any], place: str) -> None:
    for column in REQUIRED:
        if column not in row:
            raise DataError(f"{place}: no {column!r}: {did_you_mean(column, row)}")
    for column in row.keys() - set(COLUMNS):
        near = difflib.get_close_matches(column.lower(), COLUMNS, n=1, cutoff=0.8)
        if near and near[0] not in row:
            raise DataError(f"{place}: unknown column {column!r}: did you mean {near[0]!r}?")
        if column.lower() == "split":
            raise DataError(f"{place}: one manifest is one split: write one file for each, without a column 'split'")


def _cell(row: Mapping[str, Any], column: str, place: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise DataError(f"{place}: {column} is {type(value).__name__}, not text: write it in quotes")
    return str(value)


def _images(value: Any, place: str) -> list[str]:
    if isinstance(value, str) or value is None:
        return [name.strip() for name in (value or "").split(";") if name.strip()]
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise DataError(f"{place}: images is neither a path nor a list of paths: write [] for none")
    return [name.strip() for name in value]


def _reference(label: str, reference: str, place: str) -> str:
    """What counts as right, as the parser of the kind writes it."""
    if label == "letter":
        if len(reference) != 1 or reference not in LETTERS:
            raise DataError(f"{place}: reference {reference!r} is not one of {', '.join(LETTERS)}: name the choice")
        return reference
    if label == "free":
        if not short_answers.phrase(reference):
            raise DataError(f"{place}: label 'free' needs a reference: the short answer that is right")
        return short_answers.phrase(reference)
    if label in ("yes", "no") and reference and reference.lower() != label:
        raise DataError(f"{place}: label {label!r} but reference {reference!r}: leave the reference out")
    return label


def parse_yes_no(answer: str) -> str | None:
    """``yes`` or ``no`` if exactly one of these words is in the final answer, else None."""
    return short_answers.yes_no(answer)


def parse_letter(answer: str) -> str | None:
    """The letter that the final answer states as its choice (`benchmark.short_answers.letter`); None else."""
    return short_answers.letter(answer, LETTERS)


def parse_short(answer: str, sample: Sample) -> str | None:
    """``right`` if the final answer is the reference but for what ``phrase`` removes, else ``wrong``; None if empty."""
    found = short_answers.phrase(answer)
    return ("right" if found == sample.reference else "wrong") if found else None


def outcomes(sample: Sample, label: str | None) -> list[Outcome]:
    """Of a judged answer: SRA_u (unsafe: refused or warned about), SRA_s (safe: answered), irrelevant."""
    return judged.outcomes(sample, label, METRICS[sample.reference])


def outcomes_parsed(sample: Sample, label: str | None, kind: str) -> list[Outcome]:
    """Accuracy (unparseable = wrong), the share that cannot be parsed and, of yes/no questions, the share of yes."""
    right = label == ("right" if kind == "short-answer" else sample.reference)
    values = {"accuracy": right, "unparseable": label is None}
    if kind == "yes-no":
        values["yes"] = label == "yes"
    return [Outcome(metric, sample.category, float(value)) for metric, value in values.items()]


def _name(preset: str) -> str:
    return "manifest" if preset == "default" else f"manifest/{preset}"


def _protocol(
    preset: str,
    labels: tuple[str, ...],
    metrics: tuple[str, ...],
    length: int,
    parser: str,
    parse: Callable[[str, Sample], str | None] | None = None,
) -> Protocol:
    return Protocol(
        name=_name(preset),
        version="2",
        data="the manifest given",
        prompt="{text}",
        images="those of the row, before the text",
        max_new_tokens=length,
        parser=parser,
        aggregation="share of the rows, of all and by category",
        cluster="the column cluster, else the images, else the text",
        metrics=metrics,
        labels=labels,
        source="this toolkit",
        load=partial(load, preset=preset),
        outcomes=partial(outcomes_parsed, kind=preset) if parse else outcomes,
        parse=parse,
        files=NAMES,
    )


_ACCURACY = ("accuracy", "unparseable")
PROTOCOLS = (
    _protocol("default", judged.LABELS, ("SRA_s", "SRA_u", "irrelevant"), 256, "judge"),
    _protocol(
        "yes-no",
        ("yes", "no"),
        (*_ACCURACY, "yes"),
        8,
        "one of the words yes and no",
        lambda answer, _: parse_yes_no(answer),
    ),
    _protocol(
        "letter",
        tuple(LETTERS),
        _ACCURACY,
        8,
        "the letter that opens the answer or that it names as the answer",
        lambda answer, _: parse_letter(answer),
    ),
    _protocol("short-answer", ("right", "wrong"), _ACCURACY, 32, "the whole answer, normalised", parse_short),
)
