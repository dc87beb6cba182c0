"""What the console shows is inert: its own colours are, and no one else's."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.table import Table

from iar.terminal import console as module
from iar.terminal.console import Logged

HOSTILE = "name\x1b[31m\x1b]0;title\x07\x9b2J\u202e"


@pytest.mark.parametrize("terminal", [True, False])
def test_escapes_in_messages_titles_cells_and_bars_are_shown(terminal: bool) -> None:
    out = io.StringIO()
    colours = "standard" if terminal else None
    console = Logged(file=out, force_terminal=terminal, markup=False, width=100, color_system=colours)
    console.print(HOSTILE, style="bold red")
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    console.print(table)
    console.rule(HOSTILE)
    shown = out.getvalue()
    assert shown.count("name") == 6 and "\x1b[31mt" not in shown
    for sequence in ("\x1b]", "\x07", "\x9b", "\u202e"):
        assert sequence not in shown
    assert ("\x1b[1;31m" in shown) is terminal


def test_where_nobody_watches_a_line_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.25)
    with module.bars() as progress:
        assert isinstance(progress, module.Lines)
        first = progress.add_task("pope: 3 configurations", total=1000)
        progress.add_task("scienceqa: 3 configurations", total=10)
        progress.update(first, completed=400)  # answered before
        monkeypatch.setattr(module, "AT_ONCE", 0.05)
        for _ in range(6):
            time.sleep(0.1)
            progress.advance(first, 10)
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert 2 <= len(lines) <= 4
    pattern = r"pope: 3 configurations: 4\d\d of 1,000 \(4\d %\), \d+\.\d a (second|minute)(, \d+ (s|min) left)?"
    assert all(re.fullmatch(pattern, line) for line in lines)
    seconds = int(lines[-1].split()[-3])
    assert 2 <= seconds <= 30  # 540 left at about 100 a second


def test_the_time_left_is_by_the_pace_since_the_first_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    progress = module.Lines(console=module.console, disable=True)
    number = progress.add_task("pope", total=1000)
    task = progress.tasks[number]
    progress.update(task.id, completed=0)
    clock[0] = 100.0  # the model is loaded and checked
    progress.advance(task.id, 20)
    progress.advance(task.id, 20)
    clock[0] = 120.0
    assert progress.line(task) == "pope: 40 of 1,000 (4 %), 20.0 a minute"
    progress.advance(task.id, 60)
    assert progress.line(task) == "pope: 100 of 1,000 (10 %), 3.0 a second, 5 min left"


def test_work_that_stands_still_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "EVERY", 0.05)
    with module.bars() as progress:
        progress.add_task("activations", total=4)
        time.sleep(0.2)
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert lines and all(line == "activations: 0 of 4 (0 %), none in the last 0 s" for line in lines)


def test_durations() -> None:
    assert [module.duration(s) for s in (40, 600, 7500, 200000)] == ["40 s", "10 min", "2 h 5 min", "56 h"]
