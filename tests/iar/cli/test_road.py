"""The command ``iar``: the road, short names, and nothing in the working folder that breaks it (faults E1, E6)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from iar.cli import road, shell_completion

ROOT = Path(__file__).resolve().parents[3]


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_alone_it_shows_the_road(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["iar"])
    assert road.main() == 0
    shown = capsys.readouterr().out.splitlines()
    steps = [line.split()[1] for line in shown if line.startswith("  iar ")]
    assert len(shown) <= 14 and tuple(steps) == road.SHOWN and set(steps) <= set(road.commands())


def test_short_names():
    known = road.commands()
    assert known["sweep"] == "iar.sweep" and known["convert"] == known["models.convert"] == "iar.models.convert"
    assert known["benchmark"] == "benchmark" and known["perturbed"] == "benchmark.pocket.perturbed"
    assert set(known.values()) == {*shell_completion.SETTINGS, *shell_completion.OTHERS}


def test_an_unknown_name(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["iar", "sweeep"])
    with pytest.raises(SystemExit) as end:
        road.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: unknown command 'sweeep': did you mean 'sweep'?")


def test_it_runs_a_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["iar", "benchmark", "ls"])
    assert road.main() == 0
    assert "vscbench/full@" in capsys.readouterr().out
    assert sys.argv == ["benchmark", "ls"]


@pytest.mark.parametrize("name", ["benchmark.py", "benchmark/__init__.py", "benchmark/data.txt", "conf/sweep.yaml"])
def test_what_lies_in_the_working_folder_breaks_nothing(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise SystemExit(3)\n" if name.endswith(".py") else "x\n")
    done = _python(
        tmp_path, "-c", "import iar, benchmark.errors, iar.shipped as s; print(benchmark.__file__, s.shipped('conf'))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(ROOT / "benchmark/__init__.py"), str(ROOT / "conf")]
    assert ("IAR uses its own package benchmark" in done.stderr) is name.endswith(".py")


def test_a_file_of_its_own_name(tmp_path):
    """``python -m iar.sweep`` finds the user's ``iar.py``; the command ``iar`` does not look there."""
    (tmp_path / "iar.py").write_text("raise SystemExit(3)\n")
    script = tmp_path / "bin" / "iar"
    script.parent.mkdir()
    script.write_text("import sys\nfrom iar.cli.road import main\nsys.exit(main())\n")  # as pip writes it
    done = _python(tmp_path, str(script), "benchmark", "ls", "xstest")
    assert done.returncode == 0 and "xstest" in done.stdout, done.stderr


def test_another_benchmark_imported_before(tmp_path):
    (tmp_path / "benchmark.py").write_text("")
    done = _python(tmp_path, "-c", "import benchmark, iar")
    assert "hides IAR's package benchmark: import iar before it, or rename it" in done.stderr.splitlines()[-1]
