"""Text files as people hand them on: UTF-8 JSON Lines, JSON and CSV, or one line that says what is wrong with them.

Also read: LLaVA's ``{"correct": [...], "incorrect": [...]}`` and ScienceQA's ``{"results": {...}, "outputs": {...}}``.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import DataError
from benchmark.untrusted import RepeatedKey, parse_json, without_repeats

Row = dict[str, Any]
_MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip or xlsx"}


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark; a character that breaks off at its end becomes U+FFFD.

    Raises:
        DataError: The file cannot be read, is empty, or is not UTF-8 (UTF-16, Latin-1, binary, packed).
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not raw.strip():
        raise DataError(f"{path} is empty ({len(raw)} bytes): nothing was written, or the copy failed")
    packed = next((name for mark, name in _PACKED.items() if raw.startswith(mark)), "")
    if packed:
        raise DataError(f"{path} is packed ({packed}), not text: unpack it, or save it as CSV or JSON Lines")
    wide = _MARKS.get(raw[:2]) or ("UTF-16 without a mark, or binary" if b"\0" in raw[:4096] else "")
    if wide:
        raise DataError(f"{path} is {wide}, not UTF-8: iconv -f UTF-16 -t UTF-8 {path.name} > new{path.suffix}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return raw.decode("utf-8-sig", errors="replace")
        line = raw[: error.start].count(b"\n") + 1
        found = f"byte 0x{raw[error.start]:02x} in line {line}"
        raise DataError(
            f"{path} is not UTF-8 ({found}; Latin-1?): iconv -f LATIN1 -t UTF-8 {path.name} > new{path.suffix}"
        ) from error


def read_rows(path: Path) -> tuple[list[tuple[str, Row]], str]:
    """The rows of a JSON Lines, JSON or CSV file with their places (``line 3``), and the text of a torn last line.

    Raises:
        DataError: As `read_text`; the file is none of these, or is damaged before its last line.
    """
    text = read_text(path)
    if path.suffix.lower() == ".csv":
        return _csv(path, text), ""
    start = text.lstrip()
    row = _object(start.partition("\n")[0], f"{path}, line 1")
    if row is not None and not _document(row):
        return _lines(path, text)
    try:
        whole = parse_json(text, without_repeats)
    except RepeatedKey as error:
        raise DataError(f"{path}: {error} in one object: keep one") from error
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise DataError(f"{path}, line {line}: not JSON, or it breaks off there ({error}): fetch it again") from error
    return _entries(path, whole), ""


def _document(row: Row) -> bool:
    """Whether an object holds many answers: LLaVA's scored ones, or ScienceQA's results."""
    return isinstance(row.get("outputs"), dict) or all(isinstance(row.get(k), list) for k in ("correct", "incorrect"))


def _entries(path: Path, whole: Any) -> list[tuple[str, Row]]:
    if isinstance(whole, dict) and _document(whole) and "outputs" not in whole:
        whole = whole["correct"] + whole["incorrect"]
    elif isinstance(whole, dict) and _document(whole):
        chosen = whole.get("results", {})
        letters = {pid: "ABCDE"[index] if index in range(5) else "" for pid, index in chosen.items()}
        whole = [
            {"question_id": pid, "text": text} | ({"label": letters[pid]} if pid in letters else {})
            for pid, text in whole["outputs"].items()
        ]
    if not isinstance(whole, list) or not all(isinstance(row, dict) for row in whole):
        raise DataError(f"{path} is neither JSON Lines nor a JSON array of answers: one object an answer is needed")
    return [(f"entry {number}", row) for number, row in enumerate(whole, start=1)]


def _lines(path: Path, text: str) -> tuple[list[tuple[str, Row]], str]:
    # not splitlines(): an answer may hold U+2028 and the like, which are line ends to it but not to JSON Lines
    lines = text.split("\n")
    last = max(number for number, line in enumerate(lines) if line.strip())
    rows = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        row = _object(line, f"{path}, line {number + 1}")
        if row is not None:
            rows.append((f"line {number + 1}", row))
        elif number == last:
            return rows, line
        else:
            raise DataError(
                f"{path}, line {number + 1}: not a JSON object ({line.strip()[:40]!r}): two writers, or a damaged "
                "file; repair or delete that line"
            )
    return rows, ""


def _object(line: str, place: str) -> Row | None:
    try:
        row = parse_json(line, without_repeats)
    except RepeatedKey as error:
        raise DataError(f"{place}: {error} in one object: keep one") from error
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _csv(path: Path, text: str) -> list[tuple[str, Row]]:
    allow_long_cells(text)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, Row]] = []
    header: list[str] = []
    before = 1
    try:
        for cells in reader:
            place, before = f"line {before}", reader.line_num + 1
            if not header:
                header = [cell.strip() for cell in cells]
                check_header(path, header)
            elif cells:
                if len(cells) != len(header):
                    raise DataError(f"{path}, {place}: {len(cells)} cells under {len(header)} columns: broken off?")
                rows.append((place, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise DataError(f"{path}, line {before}: {not_csv(error)}: fetch it again, or repair that line") from error
    return rows


def allow_long_cells(text: str) -> None:
    """Lets `csv` read cells of this text however long they are: its own limit is 131,072 characters, less than some
    answers have."""
    csv.field_size_limit(max(csv.field_size_limit(), min(len(text), 2**31 - 1)))


def check_header(path: Path, header: Sequence[str]) -> None:
    """Raises where two columns have one name: which of them counts could not be told.

    Raises:
        DataError: They do.
    """
    named = [name for name in header if name]
    if twice := [name for name in named if named.count(name) > 1]:
        raise DataError(f"{path}: two columns have the name {twice[0]!r}: rename or delete one")


def not_csv(error: csv.Error) -> str:
    """What is wrong with a CSV file, of the `csv` module's words."""
    return "breaks off within quotation marks" if "unexpected end" in str(error) else f"not CSV ({error})"
