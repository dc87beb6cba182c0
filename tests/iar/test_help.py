"""Every command explains itself with examples that its own parser accepts, and completes what it can."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from iar.cli import shell_completion
from iar.cli.command import _with_recipes
from iar.pipeline.audit.models import quoted

ROOT = Path(__file__).resolve().parents[2]
INTERNAL = ("benchmark.speed.memory",)  # the processes that benchmark.speed starts itself


def _commands() -> list[str]:
    """Modules that do something when they are run."""
    found = []
    for file in sorted((*(ROOT / "iar").rglob("*.py"), *(ROOT / "benchmark").rglob("*.py"))):
        if re.search(r'^if __name__ == "__main__":', file.read_text(encoding="utf-8"), re.MULTILINE):
            found.append(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"))
    return [name for name in found if name not in INTERNAL]


COMMANDS = _commands()


def _main(name: str) -> Any:
    package = (ROOT / name.replace(".", "/")).is_dir()
    return importlib.import_module(f"{name}.__main__" if package else name).main


def _run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    try:
        return int(_main(name)() or 0)
    except SystemExit as end:
        return int(end.code or 0)


def _examples(text: str, name: str) -> list[list[str]]:
    """The arguments of each line of a help text that runs this command; what stands far behind is said about it."""
    lines = [line.strip() for line in re.sub(r"\\\n\s*", "", text).splitlines()]
    own = [line for line in lines if re.match(rf"python -m {re.escape(name)}(\s|$)", line)]
    # What follows after spaces is said about it, as are usage lines with their [options].
    commands = [re.split(r"\s{2,}", line)[0] for line in own]
    return [shlex.split(command)[3:] for command in commands if " [" not in command]


def _compose(compose: Any, config: str, arguments: list[str]) -> None:
    """Hydra accepts the settings, and of one that has several values the first and the last."""
    flags = [a for a in arguments if "=" not in a]
    assert not flags or config in ("audit", "judge"), flags
    settings = [quoted(a) if config == "audit" else a for a in arguments if "=" in a]
    for given in _with_recipes(settings):
        overrides = OverridesParser.create().parse_overrides(given)
        several = [list(map(str, o.sweep_string_iterator())) if _choice(o) else [""] for o in overrides]
        for turn in {0, max(map(len, several), default=1) - 1}:  # the first and the last value of each
            chosen = [
                f"{o.get_key_element()}={values[turn % len(values)]}" if _choice(o) else text
                for o, values, text in zip(overrides, several, given, strict=True)
            ]
            assert compose(config, *chosen)


def _choice(override: Override) -> bool:
    return bool(override.is_sweep_override())


def test_every_command_is_known_to_the_completion():
    assert sorted(shell_completion.SETTINGS + shell_completion.OTHERS) == COMMANDS and len(COMMANDS) > 18


class _Parsed(Exception):
    """The arguments were accepted; the command itself is not run."""


@pytest.mark.parametrize("name", COMMANDS)
def test_three_examples_that_it_accepts(name, monkeypatch, capsys, tmp_path, compose):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert _run(name, monkeypatch, "--help") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    examples = _examples(shown.out, name)
    assert len(examples) >= 3 and len({tuple(arguments) for arguments in examples}) == len(examples)
    parse = argparse.ArgumentParser.parse_args

    def accept(self: argparse.ArgumentParser, *given: Any) -> None:
        parse(self, *given)
        raise _Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", accept)
    for arguments in examples:
        config = name.removeprefix("iar.")
        if name in shell_completion.SETTINGS:
            given = [a for a in arguments if "=" in a]
            _compose(compose, config, arguments if config == "audit" else given)
        if name not in shell_completion.SETTINGS or config == "judge":
            with pytest.raises(_Parsed):
                assert _run(name, monkeypatch, *arguments) == 0, arguments
    assert not list(tmp_path.iterdir())
