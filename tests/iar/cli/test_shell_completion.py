from __future__ import annotations

import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def _run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(name).main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("python -m iar.sweep lay", "layer="),
        ("python -m iar.sweep model=po", "model=pocket"),
        ("python -m iar.sweep layer=9,14 model=pocket stren", "strength="),
        ("python -m iar.sweep recipe=pap", "recipe=paper"),
        ("python -m iar.sweep recipe=paper posit", "positions="),
        ("python -m iar.sweep model=llava-1.5-7b model.quan", "model.quantization="),
        ("python -m iar.audit --from DIR data=fo", "data=folder"),
        ("python -m iar.judge runs/a judge=gpt-4o-", "judge=gpt-4o-mini"),
        ("python3 -m iar.evaluate rem", "reminder="),
        ("python -m iar.extract nonsen", ""),
    ],
)
def test_completion_by_hydra(line, found, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", line)
    assert _run(line.split()[2], monkeypatch, "-sc", "query=bash") == 0
    assert capsys.readouterr() == (f"{found}\n", "")


def test_another_shell_is_one_line(monkeypatch, capsys):
    assert _run("iar.sweep", monkeypatch, "-sc", "install=zsh") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("python -m iar.sweep layer=9 model=po", ["pocket"]),  # bash takes = for the end of a word
        ("python -m iar.sweep lay", ["layer="]),
        ("python -m iar.sw", ["iar.sweep"]),
        ("python -m iar.vectors inspect FI", ["before"]),  # what was there, or bash's own: files
        ("python script.py mo", ["before"]),
    ],
)
def test_completion_in_bash(line, found, monkeypatch, capsys, tmp_path):
    """The function that the shell calls, in a real bash, as it calls it: words broken at =, the cursor at the end."""
    assert _run("iar.sweep", monkeypatch, "-sc", "install=bash") == 0
    install = capsys.readouterr().out
    script = f"""
        before() {{ COMPREPLY=(before); }}; complete -F before python
        python() {{ {shlex.quote(sys.executable)} "$@"; }}
        eval "$(cat)"
        COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=(python -m)
        [[ $(complete -p python) == *_iar_complete* ]] && {{ _iar_complete; }}; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", script],
        input=install,
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=600,
    )
    assert (done.stdout.split(), done.stderr) == (found, "")
