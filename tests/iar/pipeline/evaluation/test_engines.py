from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from iar.generation import RemoteEngine
from iar.pipeline.evaluation.engines import answering, estimates
from iar.pipeline.experiment.plan import configuration, plan
from iar.records import Log

CLOSED = {
    "gpt-4o": ("gpt-4o-2024-08-06", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "gpt-4o-mini": ("gpt-4o-mini-2024-07-18", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "gemini": ("gemini-3.8-flash", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "claude": ("claude-sonnet-5-5", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
}


@pytest.fixture
def engine_of(compose, tmp_path):
    """What the settings of a command give: (engine, its settings)."""

    def made(*overrides: str) -> tuple[RemoteEngine, object]:
        cfg = compose("evaluate", "method=none", f"cache={tmp_path / 'cache'}", *overrides)
        engine = answering(plan([cfg]), [configuration(cfg)])
        assert isinstance(engine, RemoteEngine)
        return engine, cfg

    return made


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_model_is_an_endpoint_with_prices_limits_and_the_name_of_its_key(engine_of, name, monkeypatch):
    model, url, key_name = CLOSED[name]
    for _, _, variable in CLOSED.values():
        monkeypatch.delenv(variable, raising=False)
    engine, cfg = engine_of(f"model={name}")
    endpoint = engine.endpoint
    assert (endpoint.model, endpoint.base_url, endpoint.key_name) == (model, url, key_name)
    assert endpoint.price_in and endpoint.price_out and endpoint.max_images and endpoint.max_image_bytes <= 5_000_000
    assert cfg.model.name == name and cfg.model.max_new_tokens == 256 and cfg.model.kind == "endpoint"
    assert engine.thinking_tokens == (0 if name.startswith("gpt") else 4096)


def test_any_other_endpoint_needs_its_model_and_no_key(engine_of, compose):
    engine, cfg = engine_of(
        "model=endpoint", "model.endpoint.model=m", "model.endpoint.base_url=http://localhost:1/v1/"
    )
    assert engine.describe()["model"] | {"digest": ""} == {
        "id": "m",
        "revision": "http://localhost:1/v1",
        "dtype": "remote",
        "digest": "",
    }
    assert cfg.model.name == "endpoint" and engine.endpoint.key() == ""
    cfg = compose("evaluate", "model=endpoint", "method=none")
    with pytest.raises(Exception, match=r"endpoint\.model"):
        answering(plan([cfg]), [configuration(cfg)])


def test_a_kind_of_model_is_local_or_an_endpoint(compose):
    assert compose("evaluate").model.kind == "local"
    with pytest.raises(Exception, match=r"unknown model.kind 'endpiont': did you mean 'endpoint'"):
        compose("evaluate", "model=endpoint", "model.kind=endpiont")


@pytest.mark.parametrize("method", ["iar", "random", "fewshot+iar"])
def test_steering_is_refused_in_one_line_before_anything_is_sent(command, pocket_data, method):
    done = command("evaluate", "model=gpt-4o", f"method={method}", f"data.root={pocket_data}", "layer=2", "run=r")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"method={method} needs a model's activations: model gpt-4o" in done.err
    assert "use method=cot|prompt|fewshot, or an open model" in done.err


@pytest.mark.parametrize("name", ["extract", "analyze", "collect"])
def test_what_reads_activations_is_refused_in_one_line(command, pocket_data, name):
    pairs = ["pairs=self_made"] if name == "collect" else []
    done = command(name, "model=gpt-4o", f"data.root={pocket_data}", *pairs)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "model gpt-4o runs at an endpoint, where its activations are out of reach" in done.err


def test_estimates_count_each_request_once_and_send_nothing(engine_of, pocket_data):
    from iar.pipeline.experiment import data

    engine, cfg = engine_of("model=gpt-4o", f"data.root={pocket_data}", "limit=4")
    asked = data.load(cfg, ["pope", "scienceqa"])
    found = estimates(engine, cfg, asked, [configuration(cfg)])
    samples, pope = asked["pope"].samples, found["pope"]
    assert pope.requests == len({(s.prompt, s.images) for s in samples}) == 3 < len(samples)
    assert pope.tokens_in > 3 * 765 and pope.usd == pytest.approx((pope.tokens_in * 2.5 + pope.tokens_out * 10) / 1e6)
    assert set(found) == {"pope", "scienceqa"}


def test_a_model_at_an_endpoint_starts_without_torch(pocket_data, tmp_path):
    """The whole command up to the missing key, in a fresh interpreter."""
    code = (
        "import sys\n"
        "from iar import evaluate\n"
        f"sys.argv = ['iar.evaluate', 'model=gpt-4o', 'method=none', 'data.root={pocket_data}', 'limit=2', 'run=r']\n"
        "try:\n"
        "    evaluate.main()\n"
        "finally:\n"
        "    print([name for name in ('torch', 'transformers', 'nnsight') if name in sys.modules])\n"
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 2 and "set the environment variable OPENAI_API_KEY" in done.stderr, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


KEY = "sk-of-nobody-4711"
METHODS = ["method=none,cot,prompt,fewshot", "reasoning_tokens=4", "limit=4", "benchmark=[vscbench,pope]"]


@pytest.fixture
def settings(pocket_data, monkeypatch):
    """What asks a server for every method that only prompts: settings(server)."""
    monkeypatch.setenv("TEST_KEY", KEY)

    def made(server, **endpoint: object) -> list[str]:
        given = {"base_url": server.url, "model": "m", "key_name": "TEST_KEY", "timeout": 1} | endpoint
        return [
            "model=endpoint",
            *(f"model.endpoint.{name}={value}" for name, value in given.items()),
            *METHODS,
            f"data.root={pocket_data}",
            "run=r",
        ]

    return made


def generations(run: Path) -> dict[tuple[str, str, str], dict]:
    """The last line of every question."""
    return {(r["benchmark"], r["configuration"], r["sample"]): r for r in Log(run / "generations.jsonl").read()}


def distinct(calls: list[dict]) -> set[str]:
    return {json.dumps(call, sort_keys=True) for call in calls}


def test_with_faults_every_question_ends_answered_or_with_its_reason(chat_server, settings, command, tmp_path):
    """And the same command again sends nothing but what failed, however often it is given."""
    server = chat_server(lambda messages: "Yes, it is.", faults=0.3, hang=1.0, key=KEY)
    asks = settings(server, attempts=2, timeout=0.5)
    first = command("evaluate", *asks)
    assert first.code == 0, first.err
    found = generations(tmp_path / "r")
    assert len(found) == 2 * 4 * 4
    failed = {key: r["error"] for key, r in found.items() if r["error"]}
    assert all(r["answer"] == "Yes, it is." for key, r in found.items() if key not in failed)
    assert {why.split(":")[0] for why in failed.values()} <= {"filtered", "error", "timed out"} and len(failed) > 2
    assert len(set(server.faulted) - {""}) >= 6
    scores = pd.read_csv(tmp_path / "r/scores.csv")
    every = scores.query("benchmark == 'pope' and category == 'all' and metric == 'accuracy'")
    unscored = sum(key[0] == "pope" for key in failed)
    assert every["n"].sum() - every["n_scored"].sum() == unscored

    # A filter's stop is final for a request; it is not paid for again.
    passing = [key for key, why in failed.items() if not why.startswith("filtered")]
    sent = len(server.calls)
    again = command("evaluate", *asks)
    assert again.code == 0, again.err
    assert 0 < len(distinct(server.calls[sent:])) <= len(passing)
    assert distinct(server.calls[sent:]) <= distinct(server.calls[:sent])
    server.faults, before = 0.0, generations(tmp_path / "r")
    sent = len(server.calls)
    # With time to spare, however busy this machine is; how long is waited is no part of a run's definition.
    assert command("evaluate", *asks, "model.endpoint.timeout=30").code == 0
    assert len(server.calls) - sent == len(distinct(server.calls[sent:]))
    last = generations(tmp_path / "r")
    assert {r["error"].split(":")[0] for r in last.values() if r["error"]} == {"filtered"}
    assert all(last[key] == r for key, r in before.items() if not r["error"])

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5 and not [path for path in written if KEY.encode() in path.read_bytes()]
    assert KEY not in first.out + first.err + again.out + again.err


def test_a_spent_budget_leaves_the_rest_unscored_and_a_larger_one_goes_on(chat_server, settings, command, tmp_path):
    server = chat_server(lambda messages: "Yes.", key=KEY)
    asks = [*settings(server, price_in=10.0, price_out=10.0, image_tokens=100, timeout=20), "method=none", "limit=12"]
    done = command("evaluate", *asks, "budget.usd=0.01")
    assert done.code == 0, done.err
    found = generations(tmp_path / "r")
    spent = [r for r in found.values() if r["error"]]
    assert len(found) == 2 * 12 and 0 < len(spent) < 24
    assert {r["error"] for r in spent} == {"budget: the budget of $0.01 is spent"}
    assert len(server.calls) * 110 * 10 / 1e6 <= 0.01
    assert "the budget of $0.01 is spent" in done.err
    sent = len(server.calls)
    more = command("evaluate", *asks, "budget.usd=5")
    assert more.code == 0, more.err
    assert not [r for r in generations(tmp_path / "r").values() if r["error"]]
    assert len(server.calls) == len(distinct(server.calls)) > sent


def test_a_wrong_key_ends_in_one_line_that_does_not_show_it(chat_server, settings, command, tmp_path):
    done = command("evaluate", *settings(chat_server(key="another")))
    assert (done.code, done.out) == (2, "")
    assert "refuses the key (401): check the environment variable TEST_KEY" in done.err.splitlines()[-1]
    assert KEY not in done.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_dry_run_sends_nothing_and_writes_nothing(chat_server, settings, command, tmp_path):
    server = chat_server()
    done = command("evaluate", *settings(server, price_in=1.0, price_out=1.0), "dry_run=true")
    assert done.code == 0, done.err
    assert "requests to send (0 in the cache)" in " ".join(done.err.split()) and server.calls == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
