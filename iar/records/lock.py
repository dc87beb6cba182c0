"""One process a run folder: a lock that the operating system drops with the process that holds it, however it dies."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakValueDictionary

from filelock import FileLock, Timeout

from iar.errors import UserError

LOCK = ".lock"

# Within one process a folder may be opened again; it is given free when nothing that opened it is left.
_held: WeakValueDictionary[Path, FileLock] = WeakValueDictionary()


def held(folder: Path) -> bool:
    """Whether a process works in the folder; False where the system cannot tell. Nothing is written."""
    try:
        import fcntl

        with open(folder / LOCK, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return False
    return False


def lock(folder: Path) -> FileLock:
    """Hold the folder until the process ends, or until nothing refers to the lock any more.

    Raises:
        UserError: Another process works in the folder.
        OSError: The lock file cannot be written.
    """
    place = folder.resolve()
    held = _held.get(place)
    if held is not None and held.is_locked:
        return held
    held = FileLock(place / LOCK, timeout=0, thread_local=False)
    try:
        held.acquire()
    except Timeout:
        raise UserError(
            f"another process works in {folder}: wait for it, or take another folder (run=OTHER); "
            "a lock left by a process that died does not count"
        ) from None
    _held[place] = held
    return held
