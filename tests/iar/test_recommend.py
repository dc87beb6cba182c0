from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

from benchmark.errors import DataError
from iar.pipeline.results import recommendation


def test_of_a_sweep_and_the_command_that_it_prints(swept, command, tmp_path):
    """A random model has no point worth it under the limits; without limits one is found, and its command runs."""
    files = {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()}
    done = command("recommend", "r", "--most", 100, "--json", "found.json")
    assert done.code == 0, done.err
    content = json.loads((tmp_path / "found.json").read_text())
    assert {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()} == files
    assert [row["configuration"] for row in content["candidates"]] == ["none", "iar-L2-x1.5"]
    told = "the highest SRA_a of the points at most 100 points of SRA_s, POPE and ScienceQA below the baseline"
    assert told in " ".join(done.err.split())
    first = (tmp_path / "found.json").read_bytes()
    again = command("recommend", "r", "--most", 100, "--json", "found.json")
    assert (again.out, again.err, (tmp_path / "found.json").read_bytes()) == (done.out, done.err, first)
    if content["recommended"]:
        words = shlex.split(done.out)
        assert done.out.count("\n") == 1 and words[:3] == ["python", "-m", "iar.evaluate"]
        assert command("evaluate", *words[3:]).code == 0
        assert (tmp_path / "r/test-iar-L2-x1.5/differences.csv").is_file()
    else:
        assert done.out == "" and "Nothing to recommend" in done.err


def test_bad_input_is_one_line(command):
    for arguments, message in (
        (["nowhere"], "no scores in nowhere"),
        (["r", "--most", "-3"], "--most -3 must be a number"),
    ):
        done = command("recommend", *arguments)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1) and message in done.err


def test_it_needs_no_torch():
    code = (
        "import sys, iar.recommend; from iar.pipeline.results import recommendation_text; print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_data_that_are_gone_are_named(swept, command, tmp_path):
    for file in (tmp_path / "r/configs").glob("*.yaml"):
        text = file.read_text().replace("root: ", "root: /nowhere")
        file.write_text(text.replace("validation: ", "validation: /nowhere").replace("name: pocket", "name: folder"))
    with pytest.raises(DataError):
        recommendation.recommend(tmp_path / "r")
    done = command("recommend", "r")
    assert done.code == 2 and "/nowhere" in done.err and done.err.count("\n") == 1
