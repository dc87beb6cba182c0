from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.speed import registry, report, sizes
from benchmark.speed.__main__ import main
from benchmark.speed.figure import Ratio, Result
from benchmark.speed.sizes import Size


def test_without_a_name_it_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(registry.FIGURES)
    assert set(registry.ALL) == set(listed) - {"gpu", "serve-load"}
    assert sum(registry.FIGURES[name].minutes for name in registry.ALL) < 35


def test_listing_imports_nothing_heavy() -> None:
    code = "import sys; from benchmark.speed.__main__ import main; main([]); print({'torch', 'iar'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pope81"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: unknown figure 'pope81': did you mean 'pope18'?") and said.count("\n") == 1


def test_a_figure_from_the_command_line(
    tiny: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sizes, "QUICK", tiny)
    file = tmp_path / "speed.json"
    assert main(["one-question", "--quick", "--repeats", "1", "--json", str(file)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("one-question: one question an image") and "plain / shared: " in printed.out
    assert "threads" in printed.err and "[1/1] one-question" in printed.err
    found = json.loads(file.read_text())
    assert found["settings"] == {"size": "tiny", "repeats": 1}
    (figure,) = found["figures"]
    assert figure["exact"] is True and figure["ratios"][0]["median"] == figure["ratios"][0]["values"][0]


def test_a_file_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(registry, "measure", lambda name, asked: Result(name, skipped="a test"))
    assert main(["gpu", "--quick", "--json", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: cannot write {tmp_path}: ")


def test_an_invalid_figure_is_said_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Result("pope18", {"a": [1.0]}, [Ratio("plain / shared", (90.0,), 80)], False, "1 of 2 answers the same")
    monkeypatch.setattr(registry, "measure", lambda name, asked: bad)
    assert main(["pope18", "--quick"]) == 1
    assert "INVALID" in (printed := capsys.readouterr().out) and "reached" not in printed
    assert main(["pope18", "--quick", "--markdown"]) == 1
    assert "| INVALID |" in (printed := capsys.readouterr().out) and "reached" not in printed


def test_lines_and_markdown() -> None:
    met = Ratio("steered / unsteered", (1.02, 1.04, 1.01), 1.05, "≤")
    missed = Ratio("plain / shared", (70.0, 75.0, 90.0), 80)
    assert (met.middle, met.reached, missed.middle, missed.reached) == (1.02, True, 75.0, False)
    result = Result("generate", {"steered": [1.5]}, [met, missed], True, "checked", ["the limit"], {"repeng": "cannot"})
    text = "\n".join(report.lines(result))
    assert "steered / unsteered: 1.02× (1.01–1.04)   must be ≤ 1.05: reached" in text
    assert "plain / shared: 75× (70–90)   must be ≥ 80: MISSED" in text
    assert "repeng: cannot" in text and "steered: 1.5 s" in text
    table = report.markdown([result, Result("gpu", skipped="there is none")], "2 cores")
    assert "| steered / unsteered | 1.02× (1.01–1.04) | ≤ 1.05 | reached |" in table
    assert "| | plain / shared".replace("| |", "|  |") in table
    assert "not measured: there is none" in table and "On 2 cores." in table
