from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from iar.generation import Engine

ENDPOINT = ["model=endpoint", "model.endpoint.model=m", "model.max_new_tokens=6"]
PRICES = ["model.endpoint.price_in=1", "model.endpoint.price_out=2"]


def cells(text: str) -> list[list[str]]:
    lines = [line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line] for line in lines]


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import iar.models

    monkeypatch.setattr(Engine, "_generate", None)
    monkeypatch.setattr(iar.models, "load_from", None, raising=False)


@pytest.mark.parametrize(("name", "configurations"), [("evaluate", 4), ("sweep", 7)])
def test_counts_answers_and_writes_nothing(small, command, tmp_path: Path, nothing_runs, name, configurations):
    settings = [*small, "reasoning_tokens=10", "layer=2", "strength=1,2", "dry_run=true"]
    settings.append("method=cot,iar")
    done = command(name, *settings)
    assert done.code == 0, done.err
    assert (done.out, list(tmp_path.iterdir())) == ("", [])
    rows = cells(done.err)
    # none, cot, two of iar; a sweep has three random directions for each of these
    configurations = 4 if name == "evaluate" else 4 + 6
    answers, tokens = 4 * configurations, 4 * configurations * 6 + 4 * 10
    assert rows == [
        ["vscbench/full@2", "4", f"{answers}", f"{tokens}", f"{answers}"],
        ["pope/official-9000@2", "4", f"{answers}", f"{tokens}", "0"],
        ["scienceqa/llava-full@3", "4", f"{answers}", f"{tokens}", "0"],
        ["all", "12", f"{3 * answers}", f"{3 * tokens}", f"{answers}"],
    ]


def test_at_an_endpoint_it_says_what_it_costs(small, command, tmp_path: Path):
    local = [a for a in small if not a.startswith("model.")]
    settings = [*local, *ENDPOINT, *PRICES, "method=cot,fewshot", "reasoning_tokens=100", "dry_run=true"]
    done = command("evaluate", *settings, "benchmark=[pope,vscbench]", "cache=c")
    assert done.code == 0, done.err
    assert list(tmp_path.iterdir()) == []
    text = " ".join(done.err.split())
    # Under none, cot and fewshot, each answer of 6 tokens and cot's of 100 more; two of POPE's four questions are one.
    assert "pope: 9 requests to send (0 in the cache)" in text and "at most 354 out" in text
    assert "all: 21 requests to send" in text and "at most 826 out, at most $" in text
    done = command("evaluate", *settings, "method=iar", "layer=2")
    assert done.code == 2 and "needs a model's activations" in done.err and done.err.count("\n") == 1


def test_pocket_data_that_are_not_there_yet_are_not_left_behind(small, command, tmp_path: Path, monkeypatch):
    from benchmark.pocket import layouts

    monkeypatch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(3, 4, 4, 8)))
    monkeypatch.setattr(layouts, "write", partial(layouts.write, pairs=6))
    settings = [a for a in small if not a.startswith("data.root=")]
    done = command("evaluate", *settings, "method=fewshot", "dry_run=true", "benchmark=pope")
    assert done.code == 0, done.err
    assert list(tmp_path.iterdir()) == [] and cells(done.err)[0][:3] == ["pope/official-9000@2", "4", "8"]


def test_what_the_command_itself_would_refuse_is_refused(small, command, tmp_path: Path):
    done = command("evaluate", *small, "method=fewshot", "dry_run=true", "demonstrations=nowhere.jsonl")
    assert done.code == 2 and "nowhere.jsonl does not exist" in done.err
    done = command("evaluate", *small, "dry_run=maybe")
    assert done.code == 2 and "dry_run=maybe must be true or false" in done.err
    assert list(tmp_path.iterdir()) == []
