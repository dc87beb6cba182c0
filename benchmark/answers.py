"""Anybody's answer file as one kind of record: this toolkit's runs, LLaVA's, lmms-eval's, plain JSON Lines and CSV.

What each format brings, besides the answer:

* ``ours``: ``generations.jsonl`` (sample, configuration, answer) or ``verdicts.jsonl`` (sample, configuration, label)
  of a run, or the run folder. The last record of a sample counts, as in the run itself.
* ``llava``: ``question_id``, ``prompt``, ``text`` (answers of ``model_vqa_loader`` and ``model_vqa_science``);
  ``eval_science_qa.py``'s ``{"correct": [...], "incorrect": [...]}``; ScienceQA's own
  ``{"results": {id: index}, "outputs": {id: text}}``.
* ``lmms-eval``: ``*_samples_TASK.jsonl`` of ``--log_samples``. Up to 0.3 with ``doc``; since 0.4 without it, the
  question in ``input`` and the POPE id in the metrics. ``doc_id`` is a place in a data set, not an id: never joined on.
* ``plain``: JSON Lines, a JSON array or CSV with an id and an answer or a label, question and image if they are there.
  XSTest's completion files are of this kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark import dualbench, judged
from benchmark.errors import DataError, did_you_mean
from benchmark.labels import read_label
from benchmark.textfile import Row, read_rows

FORMATS = ("auto", "ours", "llava", "lmms-eval", "plain")
_IDS = ("id", "sample", "sample_id", "question_id", "pid")
_TEXTS = ("prediction", "pred", "response", "completion", "text", "output", "answer")
_BESIDE = tuple(name for name in _TEXTS if name != "text")
_LABELS = ("label", "final_label", "verdict")
_QUESTIONS = ("question", "prompt", "query", "input")
_KNOWN = {*_IDS, *_TEXTS, *_LABELS, *_QUESTIONS, "image", "split", "category", "configuration", "model"}
# What may hold the right answer as well as the model's, by its name; and how columns of predictions are called.
_EITHER = ("answer", "text", "output", *_LABELS)
_PREDICTED = re.compile(
    r"pred|resp|outp|generat|complet|answer|repl(?:y|ies)|hyp|model|llm|vlm|gpt|claude|gemini|llava|qwen|intern|extract"
    r"|pars|decod|result|guess|cho(?:ice|sen)|assistant|candidate"
)
_NOT_PREDICTED = re.compile(
    r"(?:^|[^a-z])(?:gt|gold|golden|truth|true|target|targets|ref|reference|correct|right|expected|annotat\w*|human|id|ids|idx"
    r"|index|type|name|path|file|url|time|date|seconds|tokens?|count|num|number|n|len|length|score|config|version|key"
    r"|format|kind|category|lang|language|question|prompt|query|input|context|hint|reason|explanation|rationale"
    r"|metadata|error|parser|judge|image)(?:$|[^a-z])|^(?:llm|vlm|mllm)$|^choices?(?:_?[a-z0-9])?$|ground_?truth"
)


@dataclass(frozen=True)
class Answer:
    """One answer of a file; what the file does not say is empty.

    Attributes:
        place: Where it stands: ``line 3``, ``entry 3`` or ``results 12``.
        id: The file's name for the question.
        text: The model's answer; None where the file has none.
        label: What the answer was labelled as, in the file's own words; None where the file does not say.
        question: The text that was asked.
        image: Name of the image file, without folder and suffix.
        category: The split or category it belongs to, in the file's own words.
        reference: The right answer, as the file has it.
        configuration: Which of several runs on the same questions it belongs to.
        benchmark: The benchmark that a file with several ones names.
        failed: The record says that there was no answer.
    """

    place: str
    id: str
    text: str | None
    label: str | None = None
    question: str = ""
    image: str = ""
    category: str = ""
    reference: str = ""
    configuration: str = ""
    benchmark: str = ""
    failed: bool = False


@dataclass(frozen=True)
class AnswerFile:
    """The answers of one file in their order, its format, and the text of a torn last line ("" where it is whole)."""

    path: Path
    format: str
    answers: tuple[Answer, ...]
    torn: str = ""


def read_all(
    paths: Sequence[Path], format: str = "auto", judged: bool = False, column: str | None = None
) -> AnswerFile:
    """Several files as one, such as lmms-eval's one file a split of POPE.

    Raises:
        DataError: As `read`; the formats differ.
    """
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise DataError(f"{twice[0]} is given twice: remove one")
    files = [read(path, format, judged, column) for path in paths]
    if len(files) == 1:
        return files[0]
    if len(formats := sorted({file.format for file in files})) > 1:
        raise DataError(f"{files[0].path} and the other files have different formats ({', '.join(formats)})")
    answers = tuple(replace(a, place=f"{file.path.name} {a.place}") for file in files for a in file.answers)
    return AnswerFile(files[0].path.parent, formats[0], answers, "".join(file.torn for file in files))


def read(path: Path, format: str = "auto", judged: bool = False, column: str | None = None) -> AnswerFile:
    """Read an answer file; of a run folder its verdicts (``judged``) or its answers.

    Args:
        column: Where the answer stands; None: the first of the names that are known.

    Raises:
        DataError: The file is missing, empty, not UTF-8, not JSON or CSV, or holds something else than answers; it has
            no such column; or none is named and two columns could be the answer.
    """
    if format not in FORMATS:
        raise DataError(f"unknown format {format!r}: {did_you_mean(format, FORMATS)}")
    if path.is_dir():
        path = path / ("verdicts.jsonl" if judged else "generations.jsonl")
    if not path.is_file():
        raise DataError(f"no answers at {path}: give the file (or the run folder) that holds them")
    rows, torn = read_rows(path)
    if not rows:
        raise DataError(f"{path} holds no answers: {'its only line breaks off' if torn else 'its list is empty'}")
    chosen = _sniff(path, rows[0][1], column) if format == "auto" else format
    convert = {"ours": _ours, "llava": _llava, "lmms-eval": _lmms, "plain": _plain}[chosen]
    if column is not None:
        if chosen in ("ours", "lmms-eval"):
            raise DataError(f"{path}: --answer-column is for plain and llava answers; these are {chosen}")
        rows = [(place, _only(path, place, row, column)) for place, row in rows]
    elif chosen in ("plain", "llava"):
        _check_choice(path, rows)
    return AnswerFile(path, chosen, tuple(_converted(path, chosen, rows, convert)), torn)


def _only(path: Path, place: str, row: Row, column: str) -> Row:
    """The row with its answer where it is looked for, and without the other columns that could be one."""
    if column not in row:
        raise DataError(f"{path}, {place}: no column {column!r}: {did_you_mean(column, row)}")
    kept = {name: value for name, value in row.items() if name not in _TEXTS}
    if column != "text" and "text" in row and not set(row) & set(_QUESTIONS):  # added to the question's own row
        kept = {name: value for name, value in kept.items() if name != "label"} | {"question": row["text"]}
    return kept | {"prediction": row[column], "pred": row[column]}


def _check_choice(path: Path, rows: Sequence[tuple[str, Row]]) -> None:
    """Raises where the column that would count may be the right answer, and one of an unknown name looks like the
    model's."""
    for place, row in rows:
        chosen = next((name for name in (*_TEXTS, *_LABELS) if row.get(name) is not None), None)
        if chosen is not None and (chosen not in _EITHER or _is_verdict(chosen, row[chosen])):
            continue
        for name, value in row.items():
            if name not in _KNOWN and isinstance(value, str) and value.strip() and _looks_predicted(name):
                if chosen is None:
                    raise DataError(f"{path}, {place}: no answer; is it in {name!r}? Say --answer-column {name}")
                raise DataError(
                    f"{path}, {place}: is the model's answer in {chosen!r} or in {name!r}? Say --answer-column "
                    f"{chosen} or --answer-column {name}"
                )


def _is_verdict(name: str, value: object) -> bool:
    return name in _LABELS and read_label(str(value), (*judged.LABELS, *dualbench.LABELS)) is not None


def _looks_predicted(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return bool(_PREDICTED.search(words)) and not _NOT_PREDICTED.search(words)


def _converted(
    path: Path, chosen: str, rows: list[tuple[str, Row]], convert: Callable[[str, Row], Answer]
) -> Iterator[Answer]:
    for place, row in rows:
        try:
            yield convert(place, row)
        except KeyError as error:
            raise DataError(
                f"{path}, {place}: no {error.args[0]} ({chosen} answers; it has {', '.join(map(str, row))})"
            ) from error


def _sniff(path: Path, row: Row, column: str | None = None) -> str:
    keys = set(row)
    if {"sample", "configuration"} <= keys:
        return "ours"
    if "doc_id" in keys:
        return "lmms-eval"
    if {"question_id", "image", "text"} <= keys and "prompt" not in keys:  # the benchmark's own rows
        if not keys & set(_BESIDE) and column is None and not any(map(_looks_predicted, keys - _KNOWN)):
            raise DataError(f"{path} holds questions, not answers")
        return "plain"
    if "question_id" in keys and keys & {"text", "pred"}:
        return "llava"
    return "plain"


def _ours(place: str, row: Row) -> Answer:
    if "label" not in row and "answer" not in row:
        raise KeyError("answer or label")
    failed = bool(row.get("error")) or (row.get("judge") == "none")
    return Answer(
        place,
        str(row["sample"]),
        None if failed else _text(place, row.get("answer")),
        None if failed else _text(place, row.get("label")),
        configuration=str(row["configuration"]),
        benchmark=str(row.get("benchmark", "")),
        failed=failed,
    )


def _llava(place: str, row: Row) -> Answer:
    text = row["pred"] if "pred" in row else row["text"]
    label = row.get("label", row.get("parsed_ans"))
    return Answer(
        place,
        str(row["question_id"]),
        _text(place, text),
        None if label is None else str(label),
        question=str(row.get("prompt") or row.get("question") or ""),
        category=str(row.get("category") or ""),
        reference=str(row.get("ground_truth") or ""),
    )


def _lmms(place: str, row: Row) -> Answer:
    doc: Mapping[str, Any] = row["doc"] if isinstance(row.get("doc"), dict) else {}
    # since 0.4 the document is left out; POPE's metrics still carry its question_id
    named = next((v for v in row.values() if isinstance(v, dict) and "question_id" in v), {})
    name = doc.get("question_id", doc.get("pid", named.get("question_id", "")))
    found = row["filtered_resps"] if "filtered_resps" in row else row["resps"]
    while isinstance(found, list) and found:
        found = found[0]
    asked = row.get("input") or doc.get("question") or ""
    return Answer(
        place,
        str(name),
        _text(place, found),
        question=asked if isinstance(asked, str) else "",
        image=_stem(doc.get("image_source") or ""),
        category=str(doc.get("category") or ""),
        reference=str(row.get("target") or ""),
    )


def _plain(place: str, row: Row) -> Answer:
    name = _first(row, _IDS)
    if name is None:
        raise KeyError("id")
    if not set(row) & {*_TEXTS, *_LABELS}:
        raise KeyError("answer or label")
    text, label, question, reference = _first(row, _TEXTS), _first(row, _LABELS), _first(row, _QUESTIONS), None
    if "text" in row and question is None and (others := _first(row, _BESIDE)) is not None:
        text, label, question, reference = others, None, row["text"], label  # an answer added to the question's row
    return Answer(
        place,
        str(name),
        _text(place, text),
        None if label is None else str(label),
        question=str(question or ""),
        image=_stem(row.get("image") or ""),
        category=str(row.get("split") or row.get("category") or ""),
        reference=str(reference or ""),
        failed=text is None and label is None,
        configuration=str(row.get("configuration") or row.get("model") or ""),
    )


def _first(row: Row, names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _text(place: str, found: Any) -> str | None:
    if found is None or isinstance(found, str):
        return found
    raise KeyError(f"text as the answer, but {str(found)[:60]!r}")


def _stem(name: object) -> str:
    return Path(str(name)).stem if name else ""
