"""The command on the embedded model: twelve requests of its own data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iar import pairs


@pytest.fixture
def settings(pocket_data: Path) -> list[str]:
    return [f"data.root={pocket_data}", "pairs.samples=2"]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_self_made_pairs_of_the_pocket_model(command, settings, tmp_path):
    done = command("collect", *settings)
    assert done.code == 0, done.err
    assert done.out == "runs/pairs/pocket/self_made/pairs.jsonl\n"
    path = tmp_path / done.out.strip()
    answers = lines(path.parent / "answers.jsonl")
    assert len(answers) == 6 * 4 and {a["label"] for a in answers} >= {"answer", "refusal"}
    assert len({a["answer"] for a in answers}) > 12  # draws differ
    found = pairs.read({"strategy": "multi_response", "path": path})
    assert 2 <= len(found) / 2 <= 6
    assert "6 unsafe requests" in done.err and f"{len(found) // 2} pairs" in done.err
    content = path.read_bytes()
    path.unlink()
    (path.parent / "answers.jsonl").unlink()
    again = command("collect", *settings, "batch_size=5")  # other batches, the same draws
    assert again.code == 0, again.err
    assert path.read_bytes() == content


def test_behaviour_of_the_pocket_model(command, settings, tmp_path):
    done = command("collect", "pairs=behaviour", settings[0])
    assert done.code == 0, done.err
    found = pairs.read({"strategy": "behaviour", "path": tmp_path / done.out.strip()})
    assert {e.safe for e in found} == {True, False} and 2 <= len(found) <= 6
    assert len(lines(tmp_path / "runs/pairs/pocket/behaviour/answers.jsonl")) == 6


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pairs=multi_response", "pairs=multi_response is read, not made: use self_made or behaviour"),
        ("pairs.temperature=0", "temperature=0 is not a number above 0"),
        ("pairs.requests.path=nowhere.jsonl", "no pairs file nowhere.jsonl"),
        ("pairs=selfmade", "unknown pairs 'selfmade': did you mean 'self_made'?"),
    ],
)
def test_bad_input(command, settings, override, message, tmp_path):
    done = command("collect", *settings[:1], override)
    assert (done.code, done.out) == (2, "")
    assert message in done.err.splitlines()[-1]
    assert not (tmp_path / "runs").exists()
