"""Who is asked with whom, at which length, and what is measured of it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

import benchmark
from benchmark.sample import Loaded, Sample
from iar.generation import Engine, shared
from iar.generation.finite import REASON
from iar.generation.tree import Decoding, decode, sweep
from iar.pipeline.evaluation import generate, prompts, timings
from iar.prompting.composer import Composer
from iar.records import Run
from iar.revision.configuration import Configuration

NONE, COT, PROMPT = Configuration(), Configuration("cot"), Configuration("prompt", reminder="brief")


@pytest.fixture
def asked(images: list[Path]) -> dict[str, Loaded]:
    samples = [Sample(str(i), "pope", "random", "Is it?", images[i : i + 1], "yes", str(i), "Is it?") for i in range(2)]
    return {"pope": Loaded(tuple(samples))}


class Watched(Engine):
    """Notes which configurations are asked together, and for how many tokens."""

    calls: list[tuple[list[str], int]]

    def run(self, samples: Any, configurations: Any, max_new_tokens: int, skip: Any = ()) -> Iterator[Any]:
        self.calls.append(([c.name for c in configurations], max_new_tokens))
        return super().run(samples, configurations, max_new_tokens, skip)


@pytest.fixture
def engine(tiny: Any) -> Watched:
    made = Watched(tiny, {}, compose=Composer())
    made.calls = []
    return made


def settings(compose: Any) -> Any:
    return compose("evaluate", "benchmark=pope", "model.max_new_tokens=5", "reasoning_tokens=7")


def test_a_chain_of_thought_is_longer_and_asked_apart_from_shorter_answers(asked, engine, compose, tmp_path):
    run = Run.open(tmp_path / "run", {})
    generate.ask(run, engine, settings(compose), asked, [NONE, COT, PROMPT])
    assert engine.calls == [(["none", "prompt-brief"], 5), (["cot"], 12)]
    records = run.log("generations").read()
    assert {(r["sample"], r["configuration"]) for r in records} == {
        (sample, name) for sample in "01" for name in ("none", "cot", "prompt-brief")
    }
    assert {r["prompt_tokens"] > 5 for r in records} == {True} and not any("seconds" in r for r in records)
    given = {record["key"]: record for record in run.log("prompts").read()}
    assert len(given) == 6 and {r["prompt"] for r in records} == set(given)  # two questions, asked in three ways
    cot, plain = (next(given[r["prompt"]] for r in records if r["configuration"] == name) for name in ("cot", "none"))
    assert cot["turns"][0]["text"] in cot["rendered"] and cot["turns"][0]["text"].startswith(plain["turns"][0]["text"])
    before = (run.path / "prompts.jsonl").read_bytes()
    (run.path / "generations.jsonl").unlink()
    generate.ask(Run.at(run.path), engine, settings(compose), asked, [NONE, COT, PROMPT])
    assert (run.path / "prompts.jsonl").read_bytes() == before
    longest = {name: max(r["tokens"] for r in records if r["configuration"] == name) for name in ("none", "cot")}
    assert longest["none"] <= 5 and longest["cot"] <= 12


def test_apart_each_configuration_has_batches_of_its_own_and_what_they_took_adds_up(asked, engine, compose, tmp_path):
    run, cfg = Run.open(tmp_path / "run", {}), settings(compose)
    generate.ask(run, engine, cfg, asked, [NONE, PROMPT, COT], apart=True)
    assert engine.calls == [(["none"], 5), (["prompt-brief"], 5), (["cot"], 12)]
    table = pd.read_csv(run.path / "timings.csv")
    assert table[["benchmark", "configuration", "answers"]].to_numpy().tolist() == [
        ["pope", name, 2] for name in ("none", "prompt-brief", "cot")
    ]
    assert (table["seconds"] > 0).all()
    tokens = {r["configuration"]: 0 for r in run.log("generations").read()}
    for record in run.log("generations").read():
        tokens[record["configuration"]] += record["tokens"]
    assert dict(zip(table["configuration"], table["tokens"], strict=True)) == tokens
    before = (run.path / "timings.csv").read_bytes()
    generate.ask(run, engine, cfg, asked, [NONE, PROMPT, COT], apart=True)
    assert (run.path / "timings.csv").read_bytes() == before  # nothing was asked again
    lines = (run.path / "generations.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "generations.jsonl").write_bytes(b"".join(lines[1:]))
    generate.ask(run, engine, cfg, asked, [NONE, PROMPT, COT], apart=True)
    assert dict(timings.read(run.path)[["configuration", "answers"]].to_numpy()) == {
        "none": 3,
        "prompt-brief": 2,
        "cot": 2,
    }


def test_logits_that_were_no_numbers_are_not_asked_for_again(asked, engine, compose, tmp_path):
    run = Run.open(tmp_path / "run", {})
    engine.loaded = dataclasses.replace(engine.loaded, model=copy.deepcopy(engine.loaded.model))
    engine.loaded.model.get_input_embeddings().weight.data.fill_(torch.inf)
    cfg = settings(compose)
    generate.ask(run, engine, cfg, asked, [NONE])
    records = run.log("generations").read()
    assert [r["error"] for r in records] == [REASON] * 2 and all(r["key"] for r in records)
    assert all(generate.answered(engine, r, s, NONE, 5) for r, s in zip(records, asked["pope"].samples, strict=True))
    generate.ask(run, engine, cfg, asked, [NONE])
    assert run.log("generations").read() == records


def test_what_was_timed_before_an_error_is_kept(asked, engine, compose, tmp_path, monkeypatch):
    run = Run.open(tmp_path / "run", {})
    engine.batch_size, engine._sharing, original = 1, "plain", Engine._generate

    def fails_later(self: Any, *args: Any) -> Any:
        monkeypatch.setattr(Engine, "_generate", None)
        return original(self, *args)

    monkeypatch.setattr(Engine, "_generate", fails_later)
    with pytest.raises(TypeError):
        generate.ask(run, engine, settings(compose), asked, [NONE])
    assert len(run.log("generations").read()) == 1
    assert timings.read(run.path)["answers"].tolist() == [1]


def test_lengths_of_a_protocol(compose):
    cfg, pope, vscbench = settings(compose), benchmark.protocol("pope"), benchmark.protocol("vscbench")
    cfg = cfg.replace(model=cfg.model.replace(max_new_tokens=1000))
    assert prompts.length(cfg, vscbench, NONE) == vscbench.max_new_tokens
    assert prompts.length(cfg, pope, Configuration("cot+iar", (2,), 1.0)) == pope.max_new_tokens + 7
    assert (
        compose("evaluate").reasoning_tokens == 48 and compose("evaluate", "model=gemma-3-4b").reasoning_tokens == 256
    )


def test_an_interruption_of_a_slow_model_costs_less_than_a_minute(asked, tiny, compose, tmp_path, monkeypatch):
    """Every pass takes five seconds of a clock of its own; Ctrl-C after two minutes. What had ended a minute before is
    on disk, and the same command goes on to the same bytes."""
    now, made, interruptions, new = [0.0], [], [0.0], 6
    ended = Decoding.ended

    def told(self: Decoding, answers: torch.Tensor) -> torch.Tensor:
        done = ended(self, answers)
        if self.max_new_tokens == new:
            made.append((now[0], len(done) if answers.shape[1] == new else int(done.sum())))
        return done

    def slow(*_: Any) -> None:
        now[0] += 5
        if now[0] >= 120 and len(interruptions) == 1:
            interruptions.append(now[0])
            raise KeyboardInterrupt

    for module in (decode, sweep):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(shared, "FEW", 2)  # answers at a time, as of a model of billions of weights
    monkeypatch.setattr(shared, "CPU", 1.0)
    configurations = [NONE, *(dataclasses.replace(PROMPT, reminder=word) for word in ("brief", "self", "balanced"))]
    cfg = settings(compose).replace(model=settings(compose).model.replace(max_new_tokens=new))
    samples = [dataclasses.replace(asked["pope"].samples[i % 2], id=str(i), prompt=f"Is it {i}?") for i in range(6)]
    questions = {"pope": Loaded(tuple(samples))}
    engine = Engine(tiny, {}, compose=Composer())
    assert engine.sharing == "staged"  # checked before the clock counts
    whole = Run.open(tmp_path / "whole", {})
    generate.ask(whole, engine, cfg, questions, configurations)
    made.clear()
    monkeypatch.setattr(Decoding, "ended", told)
    handle = tiny.model.get_output_embeddings().register_forward_hook(slow)
    try:
        run = Run.open(tmp_path / "cut", {})
        with pytest.raises(KeyboardInterrupt):
            generate.ask(run, engine, cfg, questions, configurations)
        kept = len(run.log("generations").read())
        due = sum(number for at, number in made if at <= interruptions[1] - 60)
        assert 0 < due <= kept < len(samples) * len(configurations)
        generate.ask(run, engine, cfg, questions, configurations)
    finally:
        handle.remove()
    assert (tmp_path / "cut/generations.jsonl").read_bytes() == (tmp_path / "whole/generations.jsonl").read_bytes()
