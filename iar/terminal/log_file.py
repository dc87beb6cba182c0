"""One log a run, RUN/log.txt: each command that worked in the folder, its versions, and what it told its user.

What the console prints, warnings and the closing error, as plain text without bars and without keys. Commands are
appended one after the other, so that a resumed run tells its whole story. It is the only file of a run with dates in
it, and no result: where it cannot be written, the command goes on without.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import shlex
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmark.inert import visible

NAME = "log.txt"
PACKAGES = ("iar", "torch", "transformers", "numpy", "pandas", "hydra-core", "openai")
_LOGGERS = ("", "transformers")  # the second hands nothing on to the first
_SECRET = re.compile(r"(?:^|_)(?:\w*KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$", re.IGNORECASE)
_BEARER = re.compile(r"(?i)\b(bearer)\s+[^\s\"',;]+")
_USER = re.compile(r"(?<=://)[^/\s@]+@")  # https://name:password@host


class _Log:
    """What one command said so far, and where it goes."""

    def __init__(self, header: str, start: float) -> None:
        self.start, self.said, self.folder = start, [header], None  # type: float, list[str], Path | None
        self.keys = [value for name, value in os.environ.items() if _SECRET.search(name)]
        self.handlers: list[tuple[logging.Logger, logging.Handler]] = []

    def say(self, text: str) -> None:
        self.said.append(text.rstrip("\n") + "\n")
        if self.folder is not None:
            self._append(self.said[-1])

    def open(self, folder: Path) -> None:
        place = folder.resolve()
        if self.folder is not None and place.is_relative_to(self.folder):
            return  # a part of the same run: the second scoring, a model of an audit
        if self.folder is None:  # not before: Hydra takes away the handlers that it finds
            self.handlers = [(logging.getLogger(name), _Warnings()) for name in _LOGGERS]
            for logger, handler in self.handlers:
                logger.addHandler(handler)
        self.folder = place
        self._append("".join(self.said))

    def close(self) -> None:
        for logger, handler in self.handlers:
            logger.removeHandler(handler)

    def _append(self, text: str) -> None:
        from iar.terminal.redaction import HIDDEN, Redaction

        for key in self.keys:
            text = Redaction(key).hide(text)
        text = visible(_USER.sub(f"{HIDDEN}@", _BEARER.sub(rf"\1 {HIDDEN}", text)))
        with suppress(OSError), open(self.folder / NAME, "a", encoding="utf-8", errors="replace") as file:  # type: ignore[operator]
            file.write(text)


_log: _Log | None = None


def active() -> bool:
    """Whether a command is being logged."""
    return _log is not None


def open_in(folder: Path) -> None:
    """What the command says goes into this folder's log from now on, with what it said before.

    A folder inside the one that is open belongs to it. Outside a command (`command`) nothing is logged.
    """
    if _log is not None:
        _log.open(folder)


def say(text: str) -> None:
    """Adds lines to the log of the running command, if there is one."""
    if _log is not None:
        _log.say(text)


def hide(key: str) -> None:
    """A key that must not be in the log, in addition to the environment's."""
    if _log is not None:
        _log.keys.append(key)


@contextmanager
def command(arguments: list[str] | None = None) -> Iterator[None]:
    """While it lasts, what is printed on the console, warnings and errors are logged; inside another it is that one.

    Args:
        arguments: The command line behind ``python -m``; None: of this process.
    """
    global _log
    if _log is not None:
        yield
        return
    start = time.time()
    log = _log = _Log(_header(arguments, start), start)
    shown, warnings.showwarning = warnings.showwarning, _warned(warnings.showwarning)
    ended = "done"
    try:
        yield
    except SystemExit as end:
        ended = f"ended with exit code {end.code}" if end.code else ended
        raise
    except BaseException as error:
        ended = f"broke off: {type(error).__name__}: {error}"
        raise
    finally:
        warnings.showwarning = shown
        log.say(f"[{ended} after {time.time() - start:.1f} s]")
        log.close()
        _log = None


def _header(arguments: list[str] | None, start: float) -> str:
    """The command, when and where it ran: ``== 2026-01-31 12:00:00 UTC`` and two lines."""
    given = _command_line() if arguments is None else ["python", "-m", *arguments]
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    versions = ", ".join(f"{name} {number}" for name, number in found.items())
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(start))
    return f"== {when}\n$ {shlex.join(given)}\nPython {platform.python_version()}, {versions}; {platform.platform()}\n"


def _command_line() -> list[str]:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec is not None else ""
    if name.partition(".")[0] not in ("iar", "benchmark") or name == "iar":  # the command iar names another
        name = Path(sys.argv[0]).name
    return ["python", "-m", name, *sys.argv[1:]]


def _warned(shown: Any) -> Any:
    def show(message: Any, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
        say(f"{category.__name__}: {message} ({Path(filename).name}, line {lineno})")
        shown(visible(str(message)), category, filename, lineno, *rest)

    return show


class _Warnings(logging.Handler):
    """Warnings of libraries, in the log as well; with no other handler they still reach the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname}: {record.name}: {record.getMessage()}")
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(not isinstance(handler, _Warnings) for handler in logger.handlers):
                return
            logger = logger.parent
        if logging.lastResort is not None:
            logging.lastResort.handle(record)
