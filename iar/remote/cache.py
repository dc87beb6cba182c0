"""Replies on disk, one append-only file an endpoint and model: what was answered once is never asked or paid again.

Each line is one attempt that brought an answer or was billed: ``{"key", "text", "failure", "reason", "tokens_in",
"tokens_out", "seconds"}``, the key being `request_key`. The lines together are the ledger; the last line of a key
whose failure is "", ``refused``, ``filtered`` or ``empty`` is its reply. Others (``error``, ``timed out``) only say
what a failed attempt cost: that request is asked again. To ask everything again, delete the file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from filelock import FileLock

from iar import records
from iar.errors import UserError
from iar.remote.endpoint import Endpoint
from iar.remote.failure_kinds import Failure

LASTING: tuple[Failure, ...] = ("", "refused", "filtered", "empty")
"""Failures (and none) that the same request would meet again."""


@dataclass(frozen=True)
class Entry:
    """One line: an attempt that was answered or billed."""

    key: str
    text: str
    failure: Failure
    reason: str
    tokens_in: int
    tokens_out: int
    seconds: float


class Cache:
    """The replies of one endpoint and model.

    Args:
        path: The file; None: the replies are kept for the life of this object alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._log = records.Log(path) if path else None
        self._size = -1
        self._lock = Lock()
        self._replies: dict[str, Entry] = {}
        self._spent: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    @classmethod
    def of(cls, folder: Path | None, endpoint: Endpoint) -> Cache:
        """The endpoint's cache in a folder: one object a file, so that clients of a process share what they learn."""
        if folder is None:
            return cls(None)
        path = Path(folder).resolve() / file_name(endpoint)
        with _opening:
            cache = _open.get(path)
            if cache is None:
                cache = _open[path] = cls(path)
        return cache

    def refresh(self) -> None:
        """Read what is on disk, if the file changed: another process may have written.

        Raises:
            UserError: The file cannot be read, or is broken before its last line.
        """
        with self._lock:
            if self._log is None or self.path is None or self._size == _size(self.path):
                return
            self._size = _size(self.path)
            self._replies.clear()
            self._spent.clear()
            for record in self._log.read():
                entry = _entry(record)
                if entry is not None:
                    self._learn(entry)

    def get(self, key: str) -> Entry | None:
        """The reply to a request, or None where it must be asked."""
        return self._replies.get(key)

    def spent(self, key: str) -> tuple[int, int]:
        """Tokens read and written for a request until now, those of failed attempts included."""
        tokens_in, tokens_out = self._spent.get(key, (0, 0))
        return tokens_in, tokens_out

    def add(self, entry: Entry) -> None:
        """Keep an attempt; it is on disk when this returns.

        Raises:
            UserError: The file cannot be written.
        """
        with self._lock:
            if self._log is not None and self.path is not None:
                with _exclusive(self.path):
                    known = self._size == _size(self.path)
                    self._log.append(asdict(entry))
                    if known:  # else another process wrote too: the next refresh reads its lines
                        self._size = _size(self.path)
            self._learn(entry)

    def close(self) -> None:
        """Release the file; the next `add` opens it again."""
        with self._lock:
            if self._log is not None:
                self._log.close()

    def _learn(self, entry: Entry) -> None:
        if entry.failure in LASTING:
            self._replies[entry.key] = entry
        spent = self._spent[entry.key]
        spent[0] += entry.tokens_in
        spent[1] += entry.tokens_out


_open: WeakValueDictionary[Path, Cache] = WeakValueDictionary()
_opening = Lock()


def file_name(endpoint: Endpoint) -> str:
    """The model's name, made safe, with eight digits of what tells endpoints apart."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", endpoint.model).strip(".-")[:60]
    return f"{name}-{records.key(model=endpoint.model, base_url=endpoint.base_url)[:8]}.jsonl"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """While a line is written: opening the file cuts off a torn last line, which may be another process's half line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        lock.acquire()
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose a writable cache folder") from error
    try:
        yield
    finally:
        lock.release()


def _entry(record: dict[str, Any]) -> Entry | None:
    """The line as an entry; None where it is none of ours."""
    try:
        entry = Entry(
            key=str(record["key"]),
            text=str(record["text"]),
            failure=record["failure"],
            reason=str(record["reason"]),
            tokens_in=int(record["tokens_in"]),
            tokens_out=int(record["tokens_out"]),
            seconds=float(record["seconds"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return entry if min(entry.tokens_in, entry.tokens_out) >= 0 else None
