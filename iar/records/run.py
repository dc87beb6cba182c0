"""The run folder: what was asked for is written first; a folder never mixes two definitions, nor two processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from benchmark.untrusted import parse_json
from iar.errors import UserError
from iar.records import text_file
from iar.records.lock import lock
from iar.records.log import Log

DEFINITION = "definition.json"


@dataclass(frozen=True)
class Run:
    """A run folder. One that was opened to be written belongs to this process as long as the object lives.

    Attributes:
        path: The folder.
        definition: What the run computes, as plain JSON data. Put in what changes a result (model, data, decoding,
            judge), not what may grow from one call to the next (the list of configurations, a batch size).
        resumed: The folder existed with this same definition.
    """

    path: Path
    definition: dict[str, Any]
    resumed: bool
    _lock: FileLock | None = field(default=None, repr=False, compare=False)
    _logs: dict[str, Log] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, path: str | Path, definition: Mapping[str, Any]) -> Run:
        """Make the folder, or go on in one of the same definition.

        Raises:
            UserError: Another process works in the folder; it belongs to another definition (the differing keys are
                named with both values), holds records without a definition, or cannot be written.
        """
        folder = Path(path)
        wanted = json.loads(json.dumps(dict(definition)))  # as it will be read back: tuples are lists
        file = folder / DEFINITION
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = lock(folder)
            if file.exists():
                differing = list(_differences(_read(file), wanted))
                if differing:
                    raise UserError(
                        f"{folder} holds another run: {'; '.join(differing)}. "
                        f"Use another folder (run=OTHER) or delete {folder}"
                    )
                if not os.access(folder, os.W_OK):
                    raise PermissionError(13, "Permission denied")
                return cls(folder, wanted, True, held)
            if any(folder.glob("*.jsonl")):
                raise UserError(
                    f"{folder} holds records but no {DEFINITION}: use another folder (run=OTHER) or delete it"
                )
            _write(file, wanted)
        except OSError as error:
            raise UserError(
                f"cannot write the run folder {folder}: {error.strerror or error}; choose another (run=OTHER)"
            ) from error
        return cls(folder, wanted, False, held)

    @classmethod
    def at(cls, path: str | Path) -> Run:
        """A finished or interrupted run, for reading only.

        Raises:
            UserError: There is no run at this path.
        """
        folder = Path(path)
        if not (folder / DEFINITION).is_file():
            raise UserError(
                f"no run in {folder} (it has no {DEFINITION}): make one with python -m iar.sweep run={folder}"
            )
        return cls(folder, _read(folder / DEFINITION), resumed=True)

    def redefined(self, **changes: Any) -> Run:
        """The same run with parts of its definition replaced, on disk too: what was computed again in another way."""
        run = Run(self.path, self.definition | changes, True, self._lock, self._logs)
        _write(run.path / DEFINITION, run.definition)
        return run

    def replace_log(self, name: str, by: str) -> None:
        """The log ``by`` takes the place of the log ``name``, in one move."""
        self.log(by).move(self.path / f"{name}.jsonl")
        self._logs[name] = self._logs.pop(by)

    def log(self, name: str) -> Log:
        """The folder's log of that name, e.g. ``run.log("generations")`` is ``generations.jsonl``; read once a run."""
        return self._logs.setdefault(name, Log(self.path / f"{name}.jsonl"))


def _write(file: Path, definition: Mapping[str, Any]) -> None:
    text_file.write(file, json.dumps(definition, indent=2, sort_keys=True) + "\n")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = parse_json(file.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{file} is not JSON ({error}): delete the folder or use another (run=OTHER)") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} holds no JSON object: delete the folder or use another (run=OTHER)")
    return content


_ABSENT = object()


def _differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Each differing leaf as ``a.b: old there, new now``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for part in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(part, _ABSENT), new.get(part, _ABSENT), f"{name}.{part}" if name else part)
    elif old != new:
        yield f"{name}: {_show(old)} there, {_show(new)} now"


def _show(value: Any) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value)
