"""What the console shows is inert: its own colours are, and no one else's."""

from __future__ import annotations

import io

import pytest
from rich.table import Table

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
