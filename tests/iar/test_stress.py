from __future__ import annotations

import subprocess
import sys


def test_of_a_sweep(small, command, tmp_path):
    settings = [
        "layer=2",
        "strength=1.5",
        "controls=0",
        "confirm=false",
        "benchmark=[vscbench]",
        "attack=turns",
        "figures=false",
    ]
    assert command("sweep", *small, *settings, "run=r").code == 0
    done = command("stress", "r", "--by", "all", "--examples", 1)
    assert done.code == 0, done.err
    assert "| all | iar-L2-x1.5 | – | – |" in done.out and (tmp_path / "r/stress-all.md").read_text() in done.out
    assert '"attack": "turns"' in (tmp_path / "r/definition.json").read_text()
    assert command("stress", "r", "--by", "all", "--examples", 1).out == done.out


def test_bad_input_is_one_line(command, small):
    done = command("stress", "nowhere")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1) and "nowhere" in done.err
    done = command("sweep", *small, "attack=prefx", "run=r")
    assert (done.code, done.err.count("\n")) == (2, 1) and "did you mean 'prefix'" in done.err


def test_it_needs_no_torch():
    code = "import sys, iar.stress; from iar.pipeline.results import stress; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
