from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from iar import cli
from iar.errors import UserError
from iar.terminal import log_file
from iar.terminal.console import bars, console

ROOT = Path(__file__).resolve().parents[3]
SECRET = "sk-planted-0123456789"


@pytest.fixture
def log(tmp_path):
    """What the log of the folder ``r`` holds."""
    (tmp_path / "r").mkdir()
    return lambda: (tmp_path / "r" / log_file.NAME).read_text(encoding="utf-8")


def test_what_is_said_before_and_after_the_run_is_opened(log, tmp_path, capsys):
    with log_file.command(["iar.sweep", "layer=1,2", "run=a b"]):
        console.print("no vectors [there]: extracting them first", style="red")
        log_file.open_in(tmp_path / "r")
        console.print("second \x1b[31mline")
    text = log()
    assert re.match(
        r"== \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n\$ python -m iar.sweep layer=1,2 'run=a b'\nPython 3", text
    )
    assert f"torch {log_file.version('torch')}, transformers {log_file.version('transformers')}" in text
    assert (
        "\nno vectors [there]: extracting them first\nsecond \ufffd[31mline\n[done after " in text
        and "\x1b" not in text
    )
    assert "no vectors [there]" in capsys.readouterr().err
    with log_file.command(["iar.judge", "r"]):
        log_file.open_in(tmp_path / "r")
    assert log().startswith(text) and log().count("== 20") == 2


def test_an_error_is_the_last_line_but_one(log, tmp_path, capsys):
    with pytest.raises(SystemExit), cli.reported():
        log_file.open_in(tmp_path / "r")
        raise UserError("layer 6 is outside\nthe model")
    assert re.search(r"\nerror: layer 6 is outside the model\n\[ended with exit code 2 after [\d.]+ s\]\n$", log())
    assert capsys.readouterr().err == "error: layer 6 is outside the model\n"
    with pytest.raises(ZeroDivisionError), cli.reported():
        log_file.open_in(tmp_path / "r")
        raise ZeroDivisionError("a bug")
    assert "[broke off: ZeroDivisionError: a bug after " in log()
    assert not log_file.active()


def test_keys_are_hidden(log, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    monkeypatch.setenv("MONKEY_ISLAND", "in the Caribbean")
    with log_file.command(["iar.judge", f"key={SECRET}"]):
        log_file.hide("another-secret-99")
        console.print(f"the server says {SECRET}, another-secret-99 and in the Caribbean")
        log_file.open_in(tmp_path / "r")
        log_file.say("Authorization: Bearer abcdef http://me:hunter2@localhost:1/v1")
    text = log()
    assert SECRET not in text and "another-secret-99" not in text and "abcdef" not in text and "hunter2" not in text
    assert "$ python -m iar.judge key=[key]" in text
    assert (
        "the server says [key], [key] and in the Caribbean\nAuthorization: Bearer [key] http://[key]@localhost" in text
    )


def test_warnings_of_python_and_of_libraries(log, tmp_path, recwarn, capsys, monkeypatch):
    logging.disable(logging.NOTSET)  # tests of other commands may have left it otherwise
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    monkeypatch.setattr(logging.getLogger("some.library"), "disabled", False)
    handlers, shown = list(logging.getLogger().handlers), warnings.showwarning
    with log_file.command():
        log_file.open_in(tmp_path / "r")
        warnings.warn("half of it", UserWarning, stacklevel=1)
        logging.getLogger("some.library").warning("is %s", "old")
        logging.getLogger("some.library").info("is loaded")
    text = log()
    assert "UserWarning: half of it (test_log_file.py, line " in text and [str(w.message) for w in recwarn] == [
        "half of it"
    ]
    assert "WARNING: some.library: is old\n" in text and "is loaded" not in text
    assert logging.getLogger().handlers == handlers and warnings.showwarning is shown


def test_a_folder_within_belongs_to_the_run(log, tmp_path):
    (tmp_path / "r/test").mkdir()
    (tmp_path / "other").mkdir()
    with log_file.command():
        log_file.open_in(tmp_path / "r")
        log_file.open_in(tmp_path / "r/test")
        log_file.say("once")
        log_file.open_in(tmp_path / "other")
        log_file.say("there")
    assert log().count("once") == 1 and "there" not in log() and not (tmp_path / "r/test/log.txt").exists()
    assert "once\nthere\n" in (tmp_path / "other/log.txt").read_text()


def test_nothing_is_logged_outside_a_command_nor_where_it_cannot_be(tmp_path, capsys):
    log_file.open_in(tmp_path)
    console.print("said")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / log_file.NAME).mkdir()
    with cli.reported():
        log_file.open_in(tmp_path)
        console.print("said again")
    assert capsys.readouterr().err == "said\nsaid again\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_still_one_line(tmp_path, capsys):
    (tmp_path / log_file.NAME).symlink_to("/dev/full")
    with pytest.raises(SystemExit) as end, cli.reported():
        log_file.open_in(tmp_path)
        raise OSError(28, "No space left on device")
    err = capsys.readouterr().err
    assert end.value.code == 2 and err.count("\n") == 1 and err.startswith("error: No space left on device: make room")


def test_no_bar_and_no_colour_in_a_file(capsys):
    with bars() as progress:
        task = progress.add_task("asking", total=2)
        console.print("between", style="bold red")
        progress.advance(task, 2)
    assert capsys.readouterr().err == "between\n"


_BAR = (
    "from iar.terminal.console import bars, console\n"
    "with bars() as progress:\n"
    "    task = progress.add_task('asking', total=2)\n"
    "    console.print('between', style='bold red')\n"
    "    progress.advance(task, 2)\n"
)


def test_a_bar_with_the_time_left_on_a_terminal():
    """A pseudo-terminal, as a user has; then a pipe."""
    pty = pytest.importorskip("pty")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}
    reader, terminal = pty.openpty()
    done = subprocess.run([sys.executable, "-c", _BAR], stdout=terminal, stderr=terminal, env=environment, timeout=600)
    os.close(terminal)
    shown = os.read(reader, 100_000).decode()
    os.close(reader)
    assert done.returncode == 0 and "2/2" in shown and "left" in shown and "\x1b[" in shown
    done = subprocess.run([sys.executable, "-c", _BAR], capture_output=True, text=True, env=environment, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "between\n")


@pytest.fixture
def endpoint(chat_server, pocket_data, monkeypatch):
    """Settings of an evaluation that asks a server, which tells the key that it was sent."""
    monkeypatch.setenv("MINE", SECRET)
    server = chat_server(lambda messages: f"Yes, {SECRET}")
    address = [f"model.endpoint.base_url={server.url}", "model.endpoint.model=m", "model.endpoint.key_name=MINE"]
    data = [f"data.root={pocket_data}", "benchmark=pope", "method=none", "run=r", "limit=2"]
    return ["model=endpoint", *address, *data]


def test_a_run_has_one_log_of_all_its_commands(endpoint, command, tmp_path):
    settings = endpoint
    for name, arguments in (("evaluate", settings), ("evaluate", settings), ("judge", ["r"])):
        assert command(name, *arguments).code == 0
    text = (tmp_path / "r/log.txt").read_text()
    assert re.findall(r"(?m)^\$ python -m (\S+)", text) == ["iar.evaluate", "iar.evaluate", "iar.judge"]
    assert text.count("[done after ") == 3 and text.count("pope/official-9000@2") >= 3 and "\x1b" not in text
    assert "not the release of the data that the protocol pins" in text and "━" in text
    assert command("judge", "r", "judge=labels").code == 2
    assert "error: " not in (tmp_path / "r/log.txt").read_text()  # refused before the run was opened
    assert command("evaluate", *settings, "limit=3").code == 2
    assert (tmp_path / "r/log.txt").read_text() == text


def test_no_key_of_an_endpoint_is_in_the_log(endpoint, command, tmp_path):
    done = command("evaluate", *endpoint)
    assert done.code == 0, done.err
    text = (tmp_path / "r/log.txt").read_text()
    assert "model.endpoint.key_name=MINE" in text and SECRET not in text
    for said in (text, done.err):
        assert re.search(r"(?m)^.*: 2 of 2 requests, .*$", said)
