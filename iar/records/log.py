"""Append-only JSON Lines: one object a line, flushed at once, so that a killed run loses at most its last line.

A line is complete once its closing newline is on disk. After a power cut or ``kill -9`` the last line may be torn:
reading leaves it out, the next append cuts it off, and ``Log.torn`` says so. A broken line anywhere else means that
something other than this module wrote the file, and is an error that names file and line. A line that cannot be written
(a full disk) is taken back. Several processes may append to one file: each holds it for the time of one line.

What is read is kept: reading again takes the lines that have come since, and all of a file that is another by now.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.untrusted import parse_json
from iar.errors import UserError
from iar.records.text_file import FULL, replacing

TAIL = 256  # bytes by which a file is known again
CHUNK = 1000  # records that are written at once


class Log:
    """One append-only file of JSON objects. Reading needs no write permission; nothing is created before an append.

    Attributes:
        path: The file; it and its folder are made by the first append.
        torn: Text of the torn last line that was left out, or None. Set by ``read`` and by the first ``append``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.torn: str | None = None
        self._file: BinaryIO | None = None
        self._kept = _Kept()

    def read(self) -> list[dict[str, Any]]:
        """All complete records in the order they were written; an absent file holds none. They are not to be changed.

        Raises:
            UserError: The file cannot be read, or a line before the last is not a JSON object.
        """
        records, _ = self._scan()
        return list(records)

    def append(self, record: dict[str, Any]) -> None:
        """Write one record and hand it to the operating system before returning.

        Raises:
            UserError: No permission, a full disk, or a file whose middle is broken.
            ValueError: The record holds NaN or infinity, which JSON does not know (write ``None`` for "unscored").
        """
        self._append(_line(record))

    def extend(self, records: Sequence[dict[str, Any]]) -> None:
        """Write many records, thousands at once: of those that are cheap to make again.

        Raises:
            UserError, ValueError: As `append`.
        """
        for start in range(0, len(records), CHUNK):
            self._append(b"".join(map(_line, records[start : start + CHUNK])))

    def _append(self, lines: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._open()
            with _alone(self._file):
                _write(self._file, lines)
        except OSError as error:
            way_out = "choose a writable run folder"
            if error.errno in FULL:
                way_out = "make room; what is written is kept, and the same command goes on from here"
            raise UserError(f"cannot write {self.path}: {error.strerror or error}; {way_out}") from error

    def rewrite(self, records: Sequence[dict[str, Any]]) -> None:
        """Exactly these records, in one move: a kill leaves the old file or the new one. No other process may append.

        Args:
            records: As they were read, in any order.

        Raises:
            UserError: It cannot be written.
        """
        self.close()
        if records == self.read():
            return
        with replacing(self.path) as partial:
            partial.unlink(missing_ok=True)
            with Log(partial) as new:
                new.extend(records)
        with open(self.path, "rb") as file:
            self._kept = _Kept.whole(file, records)

    def move(self, path: Path) -> None:
        """Be another file from now on, in one move; what it held is gone, and what was read is kept."""
        self.close()
        self.path.replace(path)
        self.path = path

    def close(self) -> None:
        """Release the file; a later append opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._scan()  # a broken file is not touched
        file = open(self.path, "ab", buffering=0)  # noqa: SIM115 (kept open; unbuffered: one write a line)
        with _alone(file):
            _, end = self._scan()
            size = self.path.stat().st_size
            if size > end:
                file.truncate(end)
            elif size and not _ends(self.path, b"\n"):
                _write(file, b"\n")  # a complete object that lost only its newline
        return file

    def _scan(self) -> tuple[list[dict[str, Any]], int]:
        """The complete records, and the byte offset behind the last of them."""
        self.torn = None
        try:
            with open(self.path, "rb") as file:
                kept = self._kept = self._kept.still(file)
                size = os.fstat(file.fileno()).st_size
                file.seek(kept.end)
                self._take(file, kept, size)
        except FileNotFoundError:
            self._kept = _Kept()
            return [], 0
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror or error}") from error
        return kept.records, kept.end

    def _take(self, file: BinaryIO, kept: _Kept, size: int) -> None:
        """Adds the records of the lines from here to a size: another process may be in the middle of the next line."""
        shared: dict[str, str] = {}
        for number, line in enumerate(file, kept.lines + 1):
            line = line[: size - kept.end]
            if not line:
                break
            raw = line.removesuffix(b"\n")
            if raw.strip():
                record = _parse(raw)
                if record is not None:
                    kept.records.append(_sharing(record, shared))
                elif file.read(size - kept.end - len(line)).strip():
                    self._kept = _Kept()
                    raise UserError(
                        f"{self.path}:{number}: not a JSON object ({raw[:40].decode('utf-8', 'replace')!r}); "
                        "delete that line; its work is then done again"
                    )
                else:
                    self.torn = raw.decode("utf-8", "replace")
                    break
            kept.take(line)


@dataclass
class _Kept:
    """What was read of a file, up to which byte, and how that ended."""

    file: tuple[int, int] = (0, 0)
    time: int = 0
    end: int = 0
    lines: int = 0
    tail: bytes = b""
    records: list[dict[str, Any]] = field(default_factory=list)

    def still(self, file: BinaryIO) -> _Kept:
        """Itself, where the file holds that and nothing more or something behind it; else nothing."""
        status = os.fstat(file.fileno())
        same = (status.st_dev, status.st_ino) == self.file
        if same and (status.st_size > self.end or status.st_mtime_ns == self.time):
            file.seek(max(0, self.end - len(self.tail)))
            if file.read(len(self.tail)) == self.tail:
                self.time = status.st_mtime_ns
                return self
        return _Kept((status.st_dev, status.st_ino), status.st_mtime_ns)

    @classmethod
    def whole(cls, file: BinaryIO, records: Sequence[dict[str, Any]]) -> _Kept:
        """A file that was just written, a line a record."""
        status = os.fstat(file.fileno())
        file.seek(max(0, status.st_size - TAIL))
        identity = (status.st_dev, status.st_ino)
        return cls(identity, status.st_mtime_ns, status.st_size, len(records), file.read(), list(records))

    def take(self, line: bytes) -> None:
        """A line more, or what there is of it."""
        self.end += len(line)
        self.lines += line.endswith(b"\n")
        self.tail = (self.tail + line)[-TAIL:]


@contextmanager
def _alone(file: BinaryIO) -> Iterator[None]:
    """No other process that asks likewise writes or cuts the file meanwhile; nothing where there are no such locks."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
    except (ImportError, OSError):
        yield
        return
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _write(file: BinaryIO, line: bytes) -> None:
    """All of the line or nothing of it."""
    end = os.fstat(file.fileno()).st_size
    left = memoryview(line)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.truncate(end)
        raise


def _ends(path: Path, with_: bytes) -> bool:
    with open(path, "rb") as file:
        file.seek(-len(with_), os.SEEK_END)
        return file.read() == with_


def _line(record: dict[str, Any]) -> bytes:
    # ASCII keeps a line one line: U+2028 in a model's answer is escaped. A lone surrogate is read back as U+FFFD.
    return json.dumps(record, allow_nan=False).encode("ascii") + b"\n"


def _sharing(record: dict[str, Any], shared: dict[str, str]) -> dict[str, Any]:
    """The record, whose names and texts (but its key) are one object in all records: half of the memory, or less."""
    one = shared.setdefault
    return {
        one(name, name): one(value, value) if value.__class__ is str and name != "key" else value
        for name, value in record.items()
    }


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        record = parse_json(raw)
    except ValueError:  # also of bytes that are not UTF-8
        return None
    return record if isinstance(record, dict) else None
