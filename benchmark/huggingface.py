"""`python -m benchmark convert pope|scienceqa`: Hugging Face's parquet copies into the authors' layouts.

Many have ``lmms-lab/POPE``, ``lmms-lab/ScienceQA`` or ``derek-thomas/ScienceQA`` on disk. Their rows carry the image's
bytes, which are written as they are.

POPE's question files come out byte for byte as the authors', so that `validate` knows the release. ScienceQA's copies
lack the problems' ids: with the authors' ``problems.json`` and ``pid_splits.json`` in the folder (`download scienceqa`,
or by hand) rows are joined to problems by their text; without them problems are named ``test-0``, ``test-1``, ..., and
answer files that name ScienceQA's own ids cannot be scored on them.

Needs the package pyarrow: ``pip install 'iar[parquet]'``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark import drawing, files, pope, textfile
from benchmark.errors import DataError

Row = dict[str, Any]
_POPE_COLUMNS = ("question_id", "question", "answer", "image_source", "image", "category")
_PROBLEM = ("question", "choices", "answer", "hint")
_ABOUT = ("task", "grade", "subject", "topic", "category", "skill", "lecture", "solution")
_SIZES = {"test": (4241, 2017), "val": (4241, 2097), "train": (12726, 6218)}  # problems, of them with a picture
_AGAIN = "download the parquet files again"


def rows(source: Path, columns: Sequence[str]) -> Iterator[tuple[Path, str, Row]]:
    """Every row of a parquet file, or of all in a folder, as (file, place, row); a few in memory at a time.

    Raises:
        DataError: No such file, not a parquet file, a column is missing, or pyarrow is not installed.
    """
    try:
        pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(f"reading {source} needs the package pyarrow: pip install 'iar[parquet]'") from error
    paths = sorted(source.rglob("*.parquet")) if source.is_dir() else [source]
    if not paths or not source.exists():
        raise DataError(f"no .parquet file at {source}: give the file, or a folder with the dataset's parquet files")
    for path in paths:
        try:
            file = parquet.ParquetFile(path)
            names = file.schema_arrow.names
            if missing := [column for column in columns if column not in names]:
                raise DataError(f"{path} has no column {missing[0]!r} (it has {', '.join(names)}): another dataset?")
            number = 0
            for batch in file.iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    yield path, f"{path}, row {number}", row
                    number += 1
        except (OSError, ValueError, pyarrow.ArrowException) as error:  # ValueError: text that is not UTF-8
            raise DataError(f"cannot read {path}: {str(error).splitlines()[0]}: {_AGAIN}") from error


def convert_pope(source: Path, root: Path) -> list[str]:
    """Write ``coco_pope_*.json`` and ``val2014/``; question files that are there must ask the same.

    Returns:
        What was written, and what to know about it.

    Raises:
        DataError: What `rows` raises; a row is malformed or contradicts another; a split is missing.
    """
    asked: dict[str, dict[int, Row]] = {split: {} for split in pope.SPLITS}
    written: dict[str, str] = {}
    for _, place, row in rows(source, _POPE_COLUMNS):
        split, number, label = str(row["category"]), str(row["question_id"]), str(row["answer"]).strip().lower()
        if split not in asked or label not in pope.LABELS or not number.isdecimal() or not row["question"]:
            raise DataError(
                f"{place}: category {split!r}, question_id {number!r}, answer {label!r}: not a POPE question"
            )
        image = re.sub(r"(\.jpg)?$", ".jpg", str(row["image_source"]), count=1)
        question = {"question_id": int(number), "image": image, "text": row["question"], "label": label}
        if asked[split].setdefault(int(number), question) != question:
            raise DataError(f"{place}: question {number} of {split} is also there with other content: {_AGAIN}")
        _write_image(root, f"val2014/{image}", row["image"], written, place)
    if absent := [split for split, found in asked.items() if not found]:
        raise DataError(f"{source} has no {' and no '.join(absent)} questions: give the folder with all parquet files")
    notes = [f"val2014: {len(written)} photographs"]
    for name, (split, found) in zip(pope.FILES, asked.items(), strict=True):
        notes.append(_write_questions(root / name, split, [found[number] for number in sorted(found)]))
    return notes


def _write_questions(path: Path, split: str, questions: list[Row]) -> str:
    ours = {(str(q["question_id"]), q["image"], q["text"], q["label"]) for q in questions}
    if path.is_file():
        found = [row for _, row in textfile.read_rows(path)[0]]
        theirs = {(str(q.get("question_id")), q.get("image"), q.get("text"), q.get("label")) for q in found}
        if ours != theirs:
            raise DataError(
                f"{path} asks other questions than the parquet files ({len(theirs - ours):,} of {len(theirs):,}): "
                "another release; give an empty folder as --to"
            )
        return f"{path.name}: {len(ours):,} questions, those of the file that was there"
    releases = {protocol.digests[path.name]: protocol.name for protocol in reversed(pope.PROTOCOLS)}
    for end in ("\r\n", "\n"):  # two of the authors' three files end their lines with CRLF
        content = "".join(json.dumps(question) + end for question in questions).encode()
        release = releases.get(hashlib.sha256(content).hexdigest())
        if release:
            break
    _write(path, content)
    return f"{path.name}: {len(questions):,} questions, " + (
        f"byte for byte those of {release}" if release else "NOT those of a known release: compare with care"
    )


def convert_scienceqa(source: Path, root: Path, split: str | None = None) -> list[str]:
    """Write ``images/SPLIT/PID/``, and ``problems.json`` and ``pid_splits.json`` where they are not there.

    Args:
        split: ``test``, ``val`` or ``train``; None: the one in each parquet file's name.

    Returns:
        What was written, and what to know about it.

    Raises:
        DataError: What `rows` raises; a row is malformed, or is none of the problems that are there.
    """
    known = root / "problems.json"
    problems = files.json_content(known, dict, "move it away") if known.is_file() else {}
    splits = files.json_content(root / "pid_splits.json", dict, "move problems.json away too") if problems else {}
    found: dict[str, list[Row]] = {}
    for path, place, row in rows(source, (*_PROBLEM, "image")):
        name = split or _split(path)
        found.setdefault(name, []).append(_problem(row, name, place))
    for name, each in found.items():
        if len(each) > _SIZES[name][0]:
            raise DataError(
                f"{source} holds {len(each):,} rows of {name}, ScienceQA has {_SIZES[name][0]:,}: two versions of it "
                "(ScienceQA-FULL and ScienceQA-IMG?), give one of them"
            )
    ids = {name: _join(problems, splits, name, each, known) for name, each in found.items()}
    notes = _write_pictures(source, root, split, ids, problems)
    for name, each in found.items():
        notes.append(f"{name}: {len(each):,} problems")
        if unsure := sum(not pid for pid in ids[name]):
            notes.append(f"{name}: {unsure:,} rows fit several problems of the same text: their pictures are missing")
        left = len(splits.get(name, ())) - len(each)
        if left > 0:
            notes.append(f"{name}: {left:,} of its {len(splits[name]):,} problems have no row")
        if not problems and len(each) not in _SIZES[name]:
            notes.append(f"{name}: PARTIAL, ScienceQA has {_SIZES[name][0]:,} problems there")
    if not problems:
        content = {pid: problem for name in found for pid, problem in zip(ids[name], found[name], strict=True)}
        _write(known, json.dumps(content).encode())
        _write(root / "pid_splits.json", json.dumps(ids).encode())
        notes.append("named by row: answers to ScienceQA's own ids need the authors' problems.json in the folder first")
    return notes


def _problem(row: Row, split: str, place: str) -> Row:
    choices, answer = row["choices"], row["answer"]
    if not row["question"] or not isinstance(choices, list) or answer is None or not 0 <= answer < len(choices) <= 5:
        raise DataError(f"{place}: answer {answer!r} of {len(choices or ())} choices: not a ScienceQA problem")
    problem = {key: row[key] for key in (*_PROBLEM, *_ABOUT) if key in row}
    image = None if row["image"] is None else "image.png"
    return problem | {"hint": row["hint"] or "", "image": image, "split": split}


def _write_pictures(source: Path, root: Path, split: str | None, ids: dict[str, list[str]], problems: Row) -> list[str]:
    """A second reading, for all pictures together are larger than memory."""
    written: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for path, place, row in rows(source, ("image",)):
        name = split or _split(path)
        pid = ids[name][numbers[name]]
        numbers[name] += 1
        if pid and row["image"] is not None:
            picture = problems[pid]["image"] if problems else "image.png"
            _write_image(root, f"images/{name}/{pid}/{picture}", row["image"], written, place)
    return [f"images: {len(written):,} pictures"]


def _join(problems: Row, splits: Row, split: str, found: Sequence[Row], path: Path) -> list[str]:
    """The id of each row by its text; where problems share one, by the order if all the others prove it, else ""."""
    if not problems:
        return [f"{split}-{number}" for number in range(len(found))]
    pids = [str(pid) for pid in splits.get(split, ()) if str(pid) in problems]
    by_text: dict[str, list[str]] = {}
    for pid in pids:
        by_text.setdefault(_text(problems[pid]), []).append(pid)
    fits = [by_text.get(_text(problem), []) for problem in found]
    for number, candidates in enumerate(fits):
        if not candidates:
            raise DataError(
                f"row {number} of {split} ({found[number]['question'][:40]!r}...) is not a problem of {split} in "
                f"{path}: give an empty folder as --to, or the authors' files"
            )
    pictured = [pid for pid in pids if problems[pid]["image"]]
    for order in (pids, pictured):
        if len(order) == len(fits) and all(pid in candidates for pid, candidates in zip(order, fits, strict=True)):
            return order
    return [candidates[0] if len(candidates) == 1 else "" for candidates in fits]


def _text(problem: Row) -> str:
    """What identifies a problem; some copies have other line ends and blanks. Whether it has a picture counts."""
    parts = (problem["question"], *problem["choices"], str(problem["answer"]), problem["hint"] or "")
    return "\0".join(" ".join(str(part).split()) for part in (*parts, bool(problem["image"])))


def _split(path: Path) -> str:
    names = {"validation": "val"}
    found: set[str] = {names.get(name, name) for name in re.findall(r"train|validation|val|test", path.stem)}
    if len(found) != 1:
        raise DataError(f"{path} does not say in its name which split it is: give --split test, val or train")
    return found.pop()


def _write_image(root: Path, name: str, image: Any, written: dict[str, str], place: str) -> None:
    """Write the bytes in an image cell, once however many rows bring them."""
    content = image.get("bytes") if isinstance(image, dict) else None
    if not isinstance(content, bytes):
        raise DataError(f"{place}: its image has no bytes, only a reference: {_AGAIN}")
    if not all(re.fullmatch(r"[\w-][\w.-]*", part) for part in name.split("/")):
        raise DataError(f"{place}: {name!r} is not a valid image file name: {_AGAIN}")
    digest = hashlib.sha256(content).hexdigest()
    if written.get(name) == digest:
        return
    if name in written:
        raise DataError(f"{place}: {name} is also there with other content: {_AGAIN}")
    try:
        with drawing.opened(name, content):
            written[name] = digest
    except DataError as error:
        raise DataError(f"{place}: {error} ({len(content)} bytes): {_AGAIN}") from error
    _write(root / name, content)


def _write(path: Path, content: bytes) -> None:
    """Under another name first; nothing is written where it already is."""
    try:
        if path.is_file() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}: give another folder as --to") from error


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `python -m benchmark`."""
    raw = argparse.RawDescriptionHelpFormatter
    text = (__doc__ or "").partition("\n")[2].strip()
    parser = commands.add_parser("convert", help="read Hugging Face's parquet", description=text, formatter_class=raw)
    parser.add_argument("name", choices=("pope", "scienceqa"), help="which benchmark it is")
    parser.add_argument("source", type=Path, metavar="SRC", help="a .parquet file, or a folder with such files")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder for the authors' layout")
    parser.add_argument("--split", choices=tuple(_SIZES), help="of ScienceQA, where the file's name does not say")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    pope_asked = given.name == "pope"
    notes = (
        convert_pope(given.source, given.to) if pope_asked else convert_scienceqa(given.source, given.to, given.split)
    )
    for note in notes:
        print(note)
    print(f"check it: python -m benchmark validate {given.name} --data {given.to}")
    return 0
