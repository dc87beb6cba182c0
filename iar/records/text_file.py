"""Files that are there as a whole or as they were: written beside their place, then moved into it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from iar.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of OSError: no room for more


def write(file: Path, text: str) -> Path:
    """A text in UTF-8, its line ends as they are; returns the file.

    Raises:
        UserError: It cannot be written; what was there is untouched.
    """
    with replacing(file) as partial:
        partial.write_text(text, encoding="utf-8", newline="")
    return file


@contextmanager
def replacing(file: Path, shared: bool = False) -> Iterator[Path]:
    """A path to write to; where that was done without an error, it then takes the file's place.

    Args:
        shared: Other processes may write the same file at the same time: the path is this process's own, and the
            file's folder is made.

    Raises:
        UserError: As `write`.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}" if shared else f"{file.name}.partial")
    try:
        if shared:
            file.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        way_out = "make room and give the same command again" if error.errno in FULL else "choose a writable folder"
        raise UserError(f"cannot write {file}: {error.strerror or error}; {way_out}") from error
